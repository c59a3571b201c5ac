// PNG. Checksums stop nearly every changed byte, so the run first corrects the checksums of the chunks. Then
// the fuzzer's changes reach the parser.
#include "../data/png/png_writer.h"
#include "../data/test_images.h"
#include "picture_checks.h"

#include <kindred/third_party/deflate/deflate.h>

#include <algorithm>

using namespace kindred;

namespace {

fuzz::Bytes with_checksums(fuzz::Bytes png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = std::size_t{png[at]} << 24 | std::size_t{png[at + 1]} << 16 |
                               std::size_t{png[at + 2]} << 8 | std::size_t{png[at + 3]};
    if (length > png.size() - at - 12) break;
    const std::uint32_t crc = third_party::crc32_of(std::span(png).subspan(at + 4, 4 + length));
    for (std::size_t i = 0; i < 4; ++i)
      png[at + 8 + length + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
    at += 12 + length;
  }
  return png;
}

void run(std::span<const std::uint8_t> bytes) {
  fuzz::decode_and_check(bytes);
  fuzz::decode_and_check(with_checksums({bytes.begin(), bytes.end()}));
}

std::vector<fuzz::Bytes> seeds() {
  const fuzz::Bytes rows = test::formula_image(12, 44).pixels;  // enough for 12 x 16 x 8 bytes
  std::vector<fuzz::Bytes> files;
  const auto add = [&](int depth, int type, std::size_t row_bytes, const fuzz::Bytes& palette) {
    fuzz::Bytes data(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(12 * row_bytes));
    if (!palette.empty())
      for (auto& byte : data) byte &= 0x11;
    files.push_back(test::write_png({12, 16, depth, type, palette}, data));
  };
  for (const int depth : {1, 2, 4, 8, 16}) add(depth, 0, std::size_t(2 * depth), {});
  for (const int depth : {1, 4, 8}) add(depth, 3, std::size_t(2 * depth), fuzz::Bytes(18 * 3, 77));
  for (const int depth : {8, 16}) {
    add(depth, 2, std::size_t(6 * depth), {});
    add(depth, 4, std::size_t(4 * depth), {});
  }
  add(8, 6, 64, {});
  // Compressed data, all filters, interlacing, and several chunks.
  for (const auto& [colour, bits] : {std::pair{0, 8}, std::pair{2, 8}, std::pair{4, 16}, std::pair{6, 16}}) {
    test::PngPicture picture{
        .height = 10, .width = 9, .bits = bits, .colour = colour, .filters = {4, 1, 3, 2, 0}};
    for (std::size_t i = 0; i < 90 * picture.channels(); ++i)
      picture.samples.push_back(static_cast<std::uint16_t>(rows[i] * (bits == 16 ? 257 : 1)));
    const fuzz::Bytes stream = test::zlib_stream(test::filtered_rows(picture));
    files.push_back(test::png_file(picture, stream, 100));
    picture.interlaced = true;
    files.push_back(test::png_file(picture));
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(png, run, seeds)
