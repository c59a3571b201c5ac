// Images from memory become the same pixels as files do, and hostile ones cost no more than their limits.
#include "../../engine/temporary_folder.h"

#include <kindred/apps/serving/prepared_image.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/views/augment.h>

#include <doctest/doctest.h>

#include <random>
#include <string>

namespace kindred {
namespace {

std::vector<std::uint8_t> random_jpeg(int height, int width) {
  Image image(height, width);
  std::mt19937 random(11);
  for (std::uint8_t& value : image.pixels) value = static_cast<std::uint8_t>(random());
  return encode_jpeg(image, 90);
}

TEST_CASE("serving: an image is prepared as the encoder's file says, as from a file") {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> jpeg = random_jpeg(50, 83);
  write_bytes(folder / "a.jpg", std::string(jpeg.begin(), jpeg.end()));
  for (const ResizeMode resize : {ResizeMode::crop, ResizeMode::pad, ResizeMode::squash}) {
    EncoderInfo info;
    info.image_size = 24;
    info.resize = resize;
    ImagePreparer preparer(info, 2, 1'000'000);
    const PreparedImage prepared = preparer.prepare(jpeg);
    CHECK(prepared.problem.empty());

    Recipe plain = recipe("none", 24);
    plain.resize = resize;
    PreparedPixels expected(24 * 24 * 3);
    RandomStream unused(0, Purpose::augment);
    AugmentScratch scratch;
    make_view(decode_file(folder / "a.jpg").image, plain, 24, unused, expected.data(), scratch);
    CHECK(prepared.pixels == expected);
  }
}

TEST_CASE("serving: what is no image, or too large a one, is refused in words") {
  ImagePreparer preparer(EncoderInfo{}, 1, 10'000);
  const auto problem = [&](std::vector<std::uint8_t> bytes) {
    const PreparedImage prepared = preparer.prepare(bytes);
    CHECK(prepared.pixels.empty());
    return prepared.problem;
  };
  CHECK(problem({'t', 'e', 'x', 't'}).find("not an image") != std::string::npos);
  CHECK(problem(random_jpeg(101, 100)).find("pixels") != std::string::npos);
  std::vector<std::uint8_t> half = random_jpeg(100, 100);
  CHECK(!preparer.prepare(half).pixels.empty());
  half.resize(half.size() / 2);
  CHECK(!problem(half).empty());
  // A PNG whose header, with its checksum, says 60000 x 60000.
  CHECK(problem({0x89, 'P',  'N',  'G',  '\r', '\n', 0x1a, '\n', 0,    0,   0,   13,   'I',  'H',  'D',
                 'R',  0,    0,    0xea, 0x60, 0,    0,    0xea, 0x60, 8,   2,   0,    0,    0,    0x0f,
                 0xb0, 0xe2, 0x15, 0,    0,    0,    0,    'I',  'E',  'N', 'D', 0xae, 0x42, 0x60, 0x82})
            .find("pixels") != std::string::npos);
}

}  // namespace
}  // namespace kindred
