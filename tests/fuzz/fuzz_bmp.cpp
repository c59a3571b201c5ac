// BMP, of every depth, header and coding.
#include "../data/test_images.h"
#include "picture_checks.h"

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  fuzz::decode_and_check(bytes);
}

// 9 x 8 pixels of `bits` bits each after a header of `header` bytes, with a full palette if the format has one.
fuzz::Bytes write_bmp(std::uint32_t header, std::uint32_t bits, std::uint32_t compression) {
  const std::uint32_t entry = header == 12 ? 3 : 4, colours = bits <= 8 ? 1u << bits : 0;
  const std::uint32_t masks = compression == 3 && header == 40 ? 12 : 0;
  const std::uint32_t start = 14 + header + masks + colours * entry, row = (9 * bits + 31) / 32 * 4;
  fuzz::Bytes bmp(start + 8 * row);
  for (std::size_t i = 14 + header; i < bmp.size(); ++i) bmp[i] = static_cast<std::uint8_t>(i * 37);
  const auto put = [&](std::size_t at, std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bmp[at + std::size_t(i)] = static_cast<std::uint8_t>(value >> (8 * i));
  };
  bmp[0] = 'B';
  bmp[1] = 'M';
  put(2, static_cast<std::uint32_t>(bmp.size()), 4);
  put(10, start, 4);
  put(14, header, 4);
  if (header == 12) {
    put(18, 9, 2);
    put(20, 8, 2);
    put(22, 1, 2);
    put(24, bits, 2);
    return bmp;
  }
  put(18, 9, 4);
  put(22, 8, 4);
  put(26, 1, 2);
  put(28, bits, 2);
  put(30, compression, 4);
  if (compression == 3) {
    const std::uint32_t wide[] = {0xFF0000, 0xFF00, 0xFF}, narrow[] = {0xF800, 0x7E0, 0x1F};
    for (std::size_t i = 0; i < 3; ++i) put(54 + 4 * i, bits == 16 ? narrow[i] : wide[i], 4);
  }
  return bmp;
}

std::vector<fuzz::Bytes> seeds() {
  std::vector<fuzz::Bytes> files;
  for (const std::uint32_t header : {12u, 40u, 52u, 56u, 64u, 108u, 124u}) {
    for (const std::uint32_t bits : {1u, 4u, 8u, 24u}) files.push_back(write_bmp(header, bits, 0));
    if (header == 12) continue;
    for (const std::uint32_t bits : {16u, 32u}) {
      files.push_back(write_bmp(header, bits, 0));
      if (header != 64) files.push_back(write_bmp(header, bits, 3));
    }
    files.push_back(write_bmp(header, 8, 1));  // any bytes are run-length codes
    files.push_back(write_bmp(header, 4, 2));
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(bmp, run, seeds)
