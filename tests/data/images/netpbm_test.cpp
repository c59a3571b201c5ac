// PGM and PPM files by hand. Pillow's files are in tests/golden.
#include "../test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/images/decode.h>

#include <string>

using namespace kindred;
using namespace kindred::test;
using namespace std::string_literals;  // for texts with zeros in them

namespace {

Decoded netpbm(const std::string& text) {
  return decode_image(Bytes(text.begin(), text.end()));
}

}  // namespace

TEST_CASE("netpbm: comments in the header, and pixels that look like one") {
  CHECK(netpbm("P6 # 9 9\n2\t1 # 9\r255\n#\n 1 2").image.pixels == Bytes{'#', '\n', ' ', '1', ' ', '2'});
  CHECK(netpbm("P5#9\n1 1\n255\n ").image.pixels == Bytes{' ', ' ', ' '});
}

TEST_CASE("netpbm: levels are scaled to 255 and rounded; from 256 on a sample has two bytes") {
  CHECK(netpbm("P5 2 1 4\n\1\3").image.pixels == Bytes{64, 64, 64, 191, 191, 191});
  CHECK(netpbm("P5 1 1 255\n\xC8").image.pixels == Bytes{200, 200, 200});
  CHECK(netpbm("P5 1 1 256\n\1\0"s).image.pixels == Bytes{255, 255, 255});
  CHECK(netpbm("P5 1 1 65535\n\x80\x40").image.pixels == Bytes{128, 128, 128});  // the high byte first
}

TEST_CASE("netpbm: what is no picture is refused with the reason") {
  CHECK(netpbm("P6 2 1 255\n12345").reason == "truncated PPM or PGM: the file ends before its pixels do");
  for (const char* text : {"P5 1 1 0\n1", "P5 1 1 65536\n12", "P5 1 1\n", "P5 1 x 255\n1", "P5 1 1 255"}) {
    CAPTURE(text);
    CHECK(netpbm(text).reason == "damaged PPM or PGM: its header is not that of a picture");
  }
  CHECK(netpbm("P2\n1 1\n255\n9\n").reason == "PGM as text (P2); convert it to the binary form (P5)");
  CHECK(netpbm("P3\n1 1\n255\n9 9 9\n").reason == "PPM as text (P3); convert it to the binary form (P6)");
}
