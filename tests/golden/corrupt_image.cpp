// corrupt_image NAME SEVERITY: reads 224 x 224 RGB bytes from standard input and writes the corrupted ones to
// standard output, without the final JPEG step. For check_corruptions.py.
#include <kindred/data/corruption/corruption_parts.h>

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  constexpr int side = 224;
  if (argc != 3) return 2;
  std::vector<std::uint8_t> pixels(std::size_t{side} * side * 3);
  if (std::fread(pixels.data(), 1, pixels.size(), stdin) != pixels.size()) return 2;
  kindred::RandomStream random(0, kindred::Purpose::test);
  kindred::detail::apply(pixels, side, kindred::parse_corruption(argv[1]), std::atoi(argv[2]) - 1, random);
  return std::fwrite(pixels.data(), 1, pixels.size(), stdout) == pixels.size() ? 0 : 1;
}
