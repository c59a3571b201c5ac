// What the cache of decoded pictures keeps.
#include <kindred/data/images/image_cache.h>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>

namespace kindred {
namespace {

Decoded picture(std::size_t bytes, std::size_t room) {
  Decoded decoded;
  decoded.outcome = Outcome::ok;
  decoded.image.pixels.reserve(room);
  decoded.image.pixels.resize(bytes, 7);
  return decoded;
}

TEST_CASE("image cache: a small picture takes little memory, also out of a buffer that held a large one") {
  ImageCache cache(3, 1000);
  Decoded small = picture(300, 1'000'000), usual = picture(300, 400), beyond = picture(500, 500);
  REQUIRE(cache.keep(0, small) != nullptr);
  CHECK(cache.find(0)->image.pixels.size() == 300u);
  CHECK(cache.find(0)->image.pixels[299] == 7);
  CHECK(cache.find(0)->image.pixels.capacity() < 1000u);
  const std::uint8_t* pixels = usual.image.pixels.data();
  REQUIRE(cache.keep(1, usual) != nullptr);
  CHECK(cache.find(1)->image.pixels.data() == pixels);  // moved, not copied
  CHECK(cache.has_room(400));
  CHECK_FALSE(cache.has_room(401));
  CHECK(cache.keep(2, beyond) == nullptr);
  CHECK(beyond.image.pixels.size() == 500u);
}

}  // namespace
}  // namespace kindred
