#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/files/file.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/toy.h>
#include <kindred/data/sets/toy_set.h>

#include <cmath>
#include <numeric>
#include <set>

using namespace kindred;
using namespace kindred::test;

TEST_CASE("toy: JPEG files come back as they were drawn") {
  const Image image = smooth_image(33, 45);
  const Decoded d = decode_image(encode_jpeg(image, 95));
  CHECK(d.outcome == Outcome::ok);
  CHECK(largest_difference(d.image, image) <= 24);  // 4:2:0 blurs colour
}

TEST_CASE("toy: every class has its own name, and a picture is a function of its key") {
  std::set<std::string> names;
  for (int label = 0; label < max_toy_classes; ++label) names.insert(toy_class_name(label));
  CHECK(names.size() == std::size_t(max_toy_classes));
  RandomStream a(1, Purpose::toy_data, 0, 5), b(1, Purpose::toy_data, 0, 5), c(1, Purpose::toy_data, 0, 6);
  const Image first = draw_toy_image(3, 32, a);
  CHECK(first.pixels == draw_toy_image(3, 32, b).pixels);
  CHECK(first.pixels != draw_toy_image(3, 32, c).pixels);
}

// Figures of toy runs are comparable only as long as the pictures stay the same: means of 8 x 8 pixels.
TEST_CASE("toy: a key gives the same picture in every version") {
  struct {
    int label;
    std::uint32_t key;
    double means[16];
  } const expected[] = {{3,
                         1,
                         {70.6, 108.0, 162.8, 96.4, 90.5, 169.5, 161.0, 100.9,  //
                          135.1, 172.0, 167.6, 103.7, 90.2, 152.2, 120.1, 100.0}},
                        {20,
                         2,
                         {136.3, 143.4, 146.0, 147.0, 136.5, 140.5, 158.1, 139.9,  //
                          142.2, 146.9, 162.1, 150.0, 153.0, 137.3, 149.5, 166.2}}};
  for (const auto& picture : expected) {
    RandomStream random(7, Purpose::toy_data, 0, picture.key);
    const Image image = draw_toy_image(picture.label, 32, random);
    double sums[16] = {};
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
      sums[i / 3 / 32 / 8 * 4 + i / 3 % 32 / 8] += image.pixels[i];
    for (int block = 0; block < 16; ++block)
      CHECK(sums[block] / 192 == doctest::Approx(picture.means[block]).epsilon(0.01));
  }
}

TEST_CASE("toy: neither colour nor brightness tells a class") {
  constexpr int images = 150;
  for (int channel = 0; channel < 3; ++channel) {
    double lowest = 255, highest = 0, spread = 0;
    for (int label = 0; label < 10; ++label) {
      double sum = 0, squares = 0;
      for (std::uint32_t i = 0; i < images; ++i) {
        RandomStream random(9, Purpose::toy_data, 0, i, static_cast<std::uint32_t>(label));
        const Image image = draw_toy_image(label, 16, random);
        double mean = 0;
        for (std::size_t p = static_cast<std::size_t>(channel); p < image.pixels.size(); p += 3)
          mean += image.pixels[p];
        mean /= 256;
        sum += mean;
        squares += mean * mean;
      }
      lowest = std::min(lowest, sum / images);
      highest = std::max(highest, sum / images);
      spread += std::sqrt(squares / images - sum * sum / (images * images)) / 10;
    }
    CHECK(highest - lowest < 0.6 * spread);  // the ten means' own sampling error makes about .25 of it
  }
}

TEST_CASE("toy: a set is drawn once, and nothing is overwritten") {
  const TempFolder folder;
  const std::string out = (folder.path() / "toy").string();
  ToySetOptions o;
  o.classes = 3;
  o.per_class = 4;
  o.image_size = 16;
  CHECK(make_toy_set(out, o));
  CHECK(open_dataset(out, Split::train)->size() == 12);
  CHECK(open_dataset(out, Split::evaluation)->size() == 3);
  CHECK(open_dataset(out, Split::train)->load(0).image.width == 16);
  CHECK(!make_toy_set(out, o));  // there already
  const auto error = [&](ToySetOptions options) { return error_of([&] { make_toy_set(out, options); }); };
  ToySetOptions other = o;
  other.seed = 2;
  CHECK(error(other).find("remove it or give another folder") != std::string::npos);
  std::filesystem::remove(folder.path() / "toy/val" / toy_class_name(0) / "00000.jpg");
  CHECK(error(o).find("does not hold a complete toy set") != std::string::npos);
  other.classes = 37;
  CHECK(error(other) == "classes must be 2 to 36, not 37");
  folder.write("plain", {1});
  CHECK(error_of([&] { make_toy_set((folder.path() / "plain").string(), o); }).find("not a folder") !=
        std::string::npos);
}

TEST_CASE("toy: a call that was stopped is continued by the next one, with the same pictures") {
  const TempFolder folder;
  const std::filesystem::path out = folder.path() / "toy", whole = folder.path() / "whole";
  ToySetOptions o;
  o.classes = 3;
  o.per_class = 4;
  o.image_size = 16;
  int asked = 0;
  const auto stop = [&] { check(++asked <= 5, ExitCode::interrupted, "stopped"); };
  CHECK(error_of([&] { make_toy_set(out.string(), o, stop); }) == "stopped");
  ToySetOptions other = o;
  other.seed = 2;
  CHECK(error_of([&] { make_toy_set(out.string(), other); }).find("remove it or give another folder") !=
        std::string::npos);
  asked = 0;
  CHECK(make_toy_set(out.string(), o, [&] { ++asked; }));
  CHECK(asked == 10);  // of 12 and 3 images, five were there
  CHECK(!make_toy_set(out.string(), o));
  REQUIRE(make_toy_set(whole.string(), o));
  int files = 0, files_of_whole = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out)) files += entry.is_regular_file();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(whole)) {
    if (!entry.is_regular_file()) continue;
    ++files_of_whole;
    const auto same_name = out / std::filesystem::relative(entry.path(), whole);
    CHECK(read_file(same_name.string(), 1 << 20).bytes == read_file(entry.path().string(), 1 << 20).bytes);
  }
  CHECK(files == 16);
  CHECK(files_of_whole == 16);
}

TEST_CASE("toy: a picture that cannot be written is an error that says what to do") {
  const TempFolder folder;
  ToySetOptions o;
  o.classes = 2;
  o.per_class = 1;
  o.image_size = 16;
  const std::filesystem::path out = folder.path() / "toy";
  // A folder stands where the picture is to be written.
  const auto stand_in_the_way = [&] {
    for (int label = 0; label < 2; ++label)
      std::filesystem::create_directories(out / "train" / toy_class_name(label) / ".00000.jpg.tmp/full");
  };
  const std::string error = error_of([&] { make_toy_set(out.string(), o, stand_in_the_way); });
  CHECK(error ==
        (out / "train" / toy_class_name(0) / "00000.jpg").string() +
            ": cannot be written: Is a directory; there is a folder of that name: choose another name");
  folder.write("plain", {1});
  CHECK(error_of([&] {
          make_toy_set((folder.path() / "plain/toy").string(), o);
        }).ends_with("plain is not a folder: choose another folder"));
}
