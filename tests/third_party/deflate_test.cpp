#include <doctest/doctest.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/third_party/deflate/deflate.h>

#include <string_view>
#include <vector>

using namespace kindred::third_party;
using Bytes = std::vector<std::uint8_t>;

namespace {

using Inflate = bool (*)(std::span<const std::uint8_t>, std::span<std::uint8_t>);

// The first `size` bytes of what `stream` holds; empty if it is refused. A byte behind them must stay as it is.
Bytes inflated(Inflate inflate, const Bytes& stream, std::size_t size) {
  Bytes out(size + 1, 0xEE);
  if (!inflate(stream, std::span(out).first(size))) return {};
  CHECK(out.back() == 0xEE);
  out.pop_back();
  return out;
}

}  // namespace

TEST_CASE("deflate: both libraries take and refuse the same streams") {
  const Bytes stored{0x01, 3, 0, 0xFC, 0xFF, 'a', 'b', 'c'};  // one last block of three bytes, not compressed
  const Bytes twice{0x00, 3, 0, 0xFC, 0xFF, 'a', 'b', 'c', 0x01, 1, 0, 0xFE, 0xFF, 'd'};
  const Bytes run{0x4B, 0x4C, 0x84, 0x01, 0x00};  // fixed codes of ten times 'a'
  for (const Inflate inflate : {Inflate{inflate_raw}, Inflate{inflate_by_zlib}}) {
    CHECK(inflated(inflate, stored, 3) == Bytes{'a', 'b', 'c'});
    CHECK(inflated(inflate, twice, 4) == Bytes{'a', 'b', 'c', 'd'});
    CHECK(inflated(inflate, run, 10) == Bytes(10, 'a'));
    CHECK(inflated(inflate, stored, 2) == Bytes{'a', 'b'});  // more than asked for
    CHECK(inflated(inflate, run, 4) == Bytes(4, 'a'));
    CHECK(inflated(inflate, stored, 4) == Bytes{});  // less
    CHECK(inflated(inflate, run, 11) == Bytes{});
    CHECK(inflated(inflate, Bytes(stored.begin(), stored.end() - 1), 3) == Bytes{});       // cut off
    CHECK(inflated(inflate, Bytes{0x01, 3, 0, 0xFC, 0xFE, 'a', 'b', 'c'}, 3) == Bytes{});  // the length's check
    CHECK(inflated(inflate, Bytes{0x07}, 3) == Bytes{});  // a block of the unknown kind 3
    CHECK(inflated(inflate, {}, 3) == Bytes{});
  }
}

TEST_CASE("deflate: the beginning of a stream of unknown length") {
  const Bytes run{0x4B, 0x4C, 0x84, 0x01, 0x00};  // fixed codes of ten times 'a'
  Bytes out(12, 0xEE);
  CHECK(inflate_beginning(run, std::span(out).first(4)) == 4);
  CHECK(out == Bytes{'a', 'a', 'a', 'a', 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE, 0xEE});
  CHECK(inflate_beginning(run, out) == 10);
  CHECK(out == Bytes{'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 0xEE, 0xEE});
  CHECK(inflate_beginning(Bytes{0x00, 1, 0, 0xFE, 0xFF, 'b', 0x07}, out) ==
        1);  // then a block of the unknown kind 3
  CHECK(inflate_beginning({}, out) == 0);
  CHECK(inflate_beginning(run, {}) == 0);
}

TEST_CASE("deflate: the CRC-32 of the standard's example") {
  constexpr std::string_view digits = "123456789";
  CHECK(crc32_of(Bytes(digits.begin(), digits.end())) == 0xCBF43926u);
  CHECK(crc32_of({}) == 0u);
}

TEST_CASE("deflate: --version names the library") {
  const std::string name = deflate_library();
  CHECK((name.starts_with("libdeflate 1.") || name.starts_with("zlib 1.")));
  CHECK(kindred::version_report().find("pictures: JPEG, PNG (" + name + "), BMP, PPM and PGM; ") !=
        std::string::npos);
}
