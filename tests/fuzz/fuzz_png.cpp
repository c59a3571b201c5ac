// PNG. Checksums stop nearly every changed byte, so the run first corrects the checksums of the chunks. Then
// the fuzzer's changes reach the parser.
#include "../data/test_images.h"
#include "picture_checks.h"

#include <algorithm>

using namespace kindred;

namespace {

std::uint32_t crc32(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) ? 0xEDB88320u ^ (crc >> 1) : crc >> 1;
  }
  return crc ^ 0xFFFFFFFFu;
}

fuzz::Bytes with_checksums(fuzz::Bytes png) {
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t length = std::size_t{png[at]} << 24 | std::size_t{png[at + 1]} << 16 |
                               std::size_t{png[at + 2]} << 8 | std::size_t{png[at + 3]};
    if (length > png.size() - at - 12) break;
    const std::uint32_t crc = crc32(std::span(png).subspan(at + 4, 4 + length));
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
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(png, run, seeds)
