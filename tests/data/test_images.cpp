#include "test_images.h"

#include <fmt/core.h>
#include <kindred/data/images/jpeg_writer.h>
#include <unistd.h>  // defines: getpid

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>
#include <fstream>

#include <jpeglib.h>

namespace kindred::test {

Image formula_image(int height, int width) {
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        image.pixel(y, x)[c] =
            static_cast<std::uint8_t>((x * 11 + y * 7 * (c + 1) + x * y * (3 - c) / 5 + 60 * c) % 256);
  return image;
}

Image smooth_image(int height, int width, int phase) {
  Image image(height, width);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      std::uint8_t* p = image.pixel(y, x);
      p[0] = static_cast<std::uint8_t>(128 + 100 * std::sin(0.11 * x + phase));
      p[1] = static_cast<std::uint8_t>(128 + 100 * std::cos(0.09 * y + phase));
      p[2] = static_cast<std::uint8_t>((40 + x + y + 17 * phase) % 200);
    }
  return image;
}

Planes planes_of(const Image& image) {
  Planes planes;
  planes.resize(image.width);
  for (std::size_t i = 0; i < planes.pixels(); ++i)
    for (int c = 0; c < 3; ++c) planes.plane(c)[i] = image.pixels[3 * i + std::size_t(c)];
  return planes;
}

Image image_of(const Planes& planes) {
  Image image(planes.size, planes.size);
  for (std::size_t i = 0; i < planes.pixels(); ++i)
    for (int c = 0; c < 3; ++c) image.pixels[3 * i + std::size_t(c)] = planes.plane(c)[i];
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  if (a.height != b.height || a.width != b.width || a.pixels.size() != b.pixels.size()) return 1000;
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

Bytes write_jpeg(const Bytes& samples, int height, int width, int components, bool progressive) {
  JpegSpec spec;
  spec.height = height;
  spec.width = width;
  spec.components = components;
  spec.progressive = progressive;
  return write_jpeg(spec, samples);
}

Bytes write_jpeg(const JpegSpec& spec, const Bytes& samples) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);  // exits on a fatal error: good enough for a test's own picture
  jpeg_create_compress(&info);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &out, &size);
  info.image_height = static_cast<JDIMENSION>(spec.height);
  info.image_width = static_cast<JDIMENSION>(spec.width);
  info.input_components = spec.components;
  info.in_color_space = spec.components == 1 ? JCS_GRAYSCALE : spec.components == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (spec.ycck) jpeg_set_colorspace(&info, JCS_YCCK);
  jpeg_set_quality(&info, spec.quality, TRUE);
  for (int c = 0; c < spec.components; ++c) {
    const bool full = c == 0 || c == 3;
    info.comp_info[c].h_samp_factor = full ? spec.horizontal : 1;
    info.comp_info[c].v_samp_factor = full ? spec.vertical : 1;
  }
  const jpeg_scan_info coarse_scans[] = {{1, {0}, 0, 0, 0, 1}, {1, {0}, 1, 5, 0, 2}};
  jpeg_scan_info scans[8];
  if (spec.progressive) jpeg_simple_progression(&info);
  if (spec.coarse) {
    int count = 0;
    for (int c = 0; c < spec.components; ++c) {
      for (const jpeg_scan_info& scan : coarse_scans) {
        scans[count] = scan;
        scans[count++].component_index[0] = c;
      }
    }
    info.scan_info = scans;
    info.num_scans = count;
  }
  info.arith_code = spec.arithmetic;
  info.restart_in_rows = spec.restart_rows;
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    const std::size_t at = std::size_t(info.next_scanline) * std::size_t(spec.width * spec.components);
    JSAMPROW row = const_cast<JSAMPROW>(samples.data() + at);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  Bytes bytes(out, out + size);
  jpeg_destroy_compress(&info);
  std::free(out);
  return bytes;
}

namespace {

void put_big_endian(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(value >> shift));
}

void put_little_endian(Bytes& bytes, std::uint32_t value, int count = 4) {
  for (int i = 0; i < count; ++i) bytes.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put_chunk(Bytes& png, const std::string& type, const Bytes& data) {
  put_big_endian(png, static_cast<std::uint32_t>(data.size()));
  const std::size_t from = png.size();
  png.insert(png.end(), type.begin(), type.end());
  png.insert(png.end(), data.begin(), data.end());
  std::uint32_t crc = 0xFFFFFFFFu;
  for (std::size_t i = from; i < png.size(); ++i) {
    crc ^= png[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
  }
  put_big_endian(png, crc ^ 0xFFFFFFFFu);
}

}  // namespace

Bytes write_png(const PngSpec& spec, const Bytes& rows) {
  Bytes header;
  put_big_endian(header, static_cast<std::uint32_t>(spec.width));
  put_big_endian(header, static_cast<std::uint32_t>(spec.height));
  for (const int value : {spec.bit_depth, spec.color_type, 0, 0, 0})
    header.push_back(static_cast<std::uint8_t>(value));

  const std::size_t row_bytes = spec.height > 0 ? rows.size() / static_cast<std::size_t>(spec.height) : 0;
  Bytes filtered;
  for (std::size_t at = 0; at < rows.size(); at += row_bytes) {
    filtered.push_back(0);  // no filter
    filtered.insert(filtered.end(), rows.begin() + static_cast<std::ptrdiff_t>(at),
                    rows.begin() + static_cast<std::ptrdiff_t>(at + row_bytes));
  }
  Bytes stream{0x78, 0x01};  // zlib: stored blocks, then Adler-32
  std::uint32_t a = 1, b = 0;
  for (std::size_t at = 0; at < filtered.size();) {
    const std::size_t length = std::min<std::size_t>(filtered.size() - at, 65535);
    stream.push_back(at + length == filtered.size());
    put_little_endian(stream, static_cast<std::uint32_t>(length), 2);
    put_little_endian(stream, ~static_cast<std::uint32_t>(length), 2);
    for (const std::size_t end = at + length; at < end; ++at) {
      stream.push_back(filtered[at]);
      a = (a + filtered[at]) % 65521;
      b = (b + a) % 65521;
    }
  }
  put_big_endian(stream, b << 16 | a);

  Bytes png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  put_chunk(png, "IHDR", header);
  if (!spec.palette.empty()) put_chunk(png, "PLTE", spec.palette);
  put_chunk(png, "IDAT", stream);
  put_chunk(png, "IEND", {});
  return png;
}

Bytes write_bmp(const Image& image) {
  const std::size_t row_bytes = (std::size_t(image.width) * 3 + 3) / 4 * 4;
  Bytes bmp{'B', 'M'};
  put_little_endian(bmp, static_cast<std::uint32_t>(54 + row_bytes * std::size_t(image.height)));
  put_little_endian(bmp, 0);
  put_little_endian(bmp, 54);
  put_little_endian(bmp, 40);
  put_little_endian(bmp, static_cast<std::uint32_t>(image.width));
  put_little_endian(bmp, static_cast<std::uint32_t>(image.height));
  put_little_endian(bmp, 1, 2);
  put_little_endian(bmp, 24, 2);
  for (int i = 0; i < 6; ++i) put_little_endian(bmp, 0);
  for (int y = image.height - 1; y >= 0; --y) {
    const std::size_t end = bmp.size() + row_bytes;
    for (int x = 0; x < image.width; ++x)
      for (int c = 2; c >= 0; --c) bmp.push_back(image.pixel(y, x)[c]);
    bmp.resize(end);
  }
  return bmp;
}

TempFolder::TempFolder() {
  static std::atomic<int> count{0};
  path_ = std::filesystem::temp_directory_path() / fmt::format("kindred_test_{}_{}", ::getpid(), count++);
  std::filesystem::remove_all(path_);
  std::filesystem::create_directories(path_);
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempFolder::write(const std::string& name, const Bytes& bytes) const {
  std::filesystem::create_directories((path_ / name).parent_path());
  std::ofstream file(path_ / name, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void write_class_folders(const TempFolder& folder, const std::string& split,
                         const std::vector<std::string>& classes, int per_class, int side) {
  for (std::size_t c = 0; c < classes.size(); ++c)
    for (int i = 0; i < per_class; ++i)
      folder.write(fmt::format("{}/{}/{:03}.jpg", split, classes[c], i),
                   encode_jpeg(smooth_image(side, side + 3, static_cast<int>(c) * 100 + i), 90));
}

}  // namespace kindred::test
