// PNG files of every kind, from samples: any depth, colour type, filter, interlacing and division into chunks.
#pragma once

#include "../test_images.h"

#include <zlib.h>  // defines: compress2, compressBound, crc32, Z_OK

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace kindred::test {

struct PngPicture {
  int height = 0, width = 0;
  int bits = 8;
  int colour = 2;  // 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA
  bool interlaced = false;
  std::vector<int> filters{0};           // of the rows, in turn
  Bytes palette{};                       // RGB triples
  std::vector<std::uint16_t> samples{};  // [height, width, channels]

  std::size_t channels() const { return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1; }
  std::uint16_t sample(std::size_t y, std::size_t x, std::size_t c) const {
    return samples[(y * static_cast<std::size_t>(width) + x) * channels() + c];
  }
};

inline void append_big_endian(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

inline Bytes png_chunk(std::string_view type, const Bytes& content) {
  Bytes chunk;
  append_big_endian(chunk, static_cast<std::uint32_t>(content.size()));
  chunk.insert(chunk.end(), type.begin(), type.end());
  chunk.insert(chunk.end(), content.begin(), content.end());
  append_big_endian(
      chunk, static_cast<std::uint32_t>(::crc32(0, chunk.data() + 4, static_cast<uInt>(chunk.size() - 4))));
  return chunk;
}

inline Bytes zlib_stream(const Bytes& bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  Bytes packed(size);
  if (compress2(packed.data(), &size, bytes.data(), static_cast<uLong>(bytes.size()), 6) != Z_OK) std::abort();
  packed.resize(size);
  return packed;
}

// What PNG's filters subtract, written from the standard.
inline int predicted_byte(int filter, int left, int above, int corner) {
  if (filter == 1) return left;
  if (filter == 2) return above;
  if (filter == 3) return (left + above) / 2;
  if (filter != 4) return 0;
  const int p = left + above - corner;
  const int pa = std::abs(p - left), pb = std::abs(p - above), pc = std::abs(p - corner);
  return pa <= pb && pa <= pc ? left : pb <= pc ? above : corner;
}

// Appends the rows of every dy-th row from y0 with every dx-th pixel from x0.
inline void append_pass(const PngPicture& picture, std::size_t x0, std::size_t y0, std::size_t dx,
                        std::size_t dy, Bytes& out) {
  const auto height = static_cast<std::size_t>(picture.height), width = static_cast<std::size_t>(picture.width);
  const auto bits = static_cast<std::size_t>(picture.bits);
  const std::size_t pixel_bytes = std::max<std::size_t>(1, picture.channels() * bits / 8);
  const std::size_t columns = width > x0 ? (width - x0 + dx - 1) / dx : 0;
  if (columns == 0) return;
  Bytes above((columns * picture.channels() * bits + 7) / 8);
  std::size_t row_number = 0;
  for (std::size_t y = y0; y < height; y += dy, ++row_number) {
    Bytes row(above.size());
    std::size_t bit = 0;
    for (std::size_t x = x0; x < width; x += dx)
      for (std::size_t c = 0; c < picture.channels(); ++c)
        for (std::size_t b = bits; b-- > 0; ++bit)
          row[bit / 8] |= static_cast<std::uint8_t>(((picture.sample(y, x, c) >> b) & 1) << (7 - bit % 8));
    const int filter = picture.filters[row_number % picture.filters.size()];
    out.push_back(static_cast<std::uint8_t>(filter));
    for (std::size_t i = 0; i < row.size(); ++i) {
      const bool first = i < pixel_bytes;
      out.push_back(
          static_cast<std::uint8_t>(row[i] - predicted_byte(filter, first ? 0 : row[i - pixel_bytes], above[i],
                                                            first ? 0 : above[i - pixel_bytes])));
    }
    above = row;
  }
}

inline Bytes filtered_rows(const PngPicture& picture) {
  Bytes rows;
  if (!picture.interlaced) {
    append_pass(picture, 0, 0, 1, 1, rows);
    return rows;
  }
  constexpr std::size_t adam7[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                       {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
  for (const auto& pass : adam7) append_pass(picture, pass[0], pass[1], pass[2], pass[3], rows);
  return rows;
}

inline Bytes png_header(const PngPicture& picture) {
  Bytes header;
  append_big_endian(header, static_cast<std::uint32_t>(picture.width));
  append_big_endian(header, static_cast<std::uint32_t>(picture.height));
  for (const int value : {picture.bits, picture.colour, 0, 0, picture.interlaced ? 1 : 0})
    header.push_back(static_cast<std::uint8_t>(value));
  return header;
}

inline Bytes joined(const std::vector<Bytes>& parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

inline const Bytes png_magic{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

// `stream` is what the chunks IDAT hold, in pieces of `piece` bytes.
inline Bytes png_file(const PngPicture& picture, const Bytes& stream,
                      std::size_t piece = std::size_t{1} << 30) {
  std::vector<Bytes> parts{png_magic, png_chunk("IHDR", png_header(picture))};
  if (!picture.palette.empty()) parts.push_back(png_chunk("PLTE", picture.palette));
  for (std::size_t at = 0; at < stream.size(); at += piece) {
    const auto from = stream.begin() + static_cast<std::ptrdiff_t>(at);
    parts.push_back(png_chunk(
        "IDAT", Bytes(from, from + static_cast<std::ptrdiff_t>(std::min(piece, stream.size() - at)))));
  }
  parts.push_back(png_chunk("IEND", {}));
  return joined(parts);
}

inline Bytes png_file(const PngPicture& picture) {
  return png_file(picture, zlib_stream(filtered_rows(picture)));
}

}  // namespace kindred::test
