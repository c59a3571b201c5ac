// What a map's page holds: places, names, classes and pictures come back out of its JSON.
#include "../../errors.h"
#include "page_text.h"

#include <kindred/apps/pages/map_view.h>
#include <kindred/apps/pages/page.h>
#include <kindred/data/images/decode.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace kindred {
namespace {

using test::base64_bytes;
using test::count_of;

std::vector<std::uint32_t> unpacked(const nlohmann::json& packed) {
  const std::string bytes = base64_bytes(packed["base64"]);
  const std::size_t each = packed["bytes"];
  REQUIRE(bytes.size() % each == 0);
  std::vector<std::uint32_t> numbers(bytes.size() / each);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    numbers[i / each] |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * (i % each));
  return numbers;
}

struct RandomMap {
  ImageTable table;
  MapPlaces places;
};

RandomMap random_map(std::int64_t rows, int classes, unsigned seed) {
  std::mt19937 dice(seed);
  std::normal_distribution<float> normal;
  RandomMap map;
  map.table.dim = 1;
  for (int c = 0; c < classes; ++c) map.table.classes.push_back("class " + std::to_string(c));
  for (std::int64_t r = 0; r < rows; ++r) {
    map.table.features.push_back(normal(dice));
    map.table.paths.push_back("set/train/" + std::to_string(dice() % 10) + "/" + std::to_string(r) + ".jpg");
    if (classes > 0)
      map.table.labels.push_back(static_cast<std::int32_t>(dice() % static_cast<unsigned>(classes)));
    map.table.parts_of.push_back(0);
    map.places.xy.push_back(1000 + 50 * normal(dice));
    map.places.xy.push_back(3 * normal(dice));
  }
  return map;
}

// Each thumbnail has a grey of its own, by which it can be found again.
std::uint8_t grey_of(std::size_t row) {
  return static_cast<std::uint8_t>(20 + row * 37 % 216);
}

void add_thumbnails(ImageTable& table, int side) {
  for (std::size_t r = 0; r < table.paths.size(); ++r) {
    Image image(side, side);
    std::ranges::fill(image.pixels, grey_of(r));
    table.thumbnails.push_back(image);
  }
}

std::size_t bytes_of(const nlohmann::json& atlases) {
  std::size_t bytes = 0;
  for (const std::string uri : atlases) bytes += uri.size();
  return bytes;
}

Image decoded_atlas(const std::string& uri) {
  const std::string bytes = base64_bytes(uri.substr(uri.find(',') + 1));
  const Decoded decoded = decode_image({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  REQUIRE(decoded.outcome == Outcome::ok);
  return decoded.image;
}

TEST_CASE("pages: the places of a map come back within a step of 65535, with names and classes") {
  for (const int classes : {1, 7, 300}) {
    const RandomMap given = random_map(500, classes, static_cast<unsigned>(classes));
    const nlohmann::json map = map_json(given.table, given.places, 0);
    CHECK(map["count"] == 500);
    const std::vector<std::uint32_t> steps = unpacked(map["xy"]);
    REQUIRE(steps.size() == 1000);
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const double low = map["extent"][axis], high = map["extent"][axis + 2];
      for (std::size_t i = axis; i < steps.size(); i += 2) {
        const double place = low + (high - low) * steps[i] / 65535;
        CHECK(std::abs(place - static_cast<double>(given.places.xy[i])) <= (high - low) / 65535);
      }
    }
    const std::vector<std::uint32_t> labels = unpacked(map["labels"]);
    REQUIRE(labels.size() == 500);
    CHECK(map["folder"] == "set/train/");
    for (std::size_t r = 0; r < 500; ++r) {
      CHECK(static_cast<std::int32_t>(labels[r]) == given.table.labels[r]);
      CHECK("set/train/" + map["names"][r].get<std::string>() == given.table.paths[r]);
    }
    CHECK(map["classes"] == given.table.classes);
    CHECK(map["part_of"].is_null());
    CHECK(map["pictures"].is_null());
    CHECK(map == map_json(given.table, given.places, 0));
  }
}

TEST_CASE("pages: a map of 60,000 images has its places in 320 kB") {
  const RandomMap given = random_map(60000, 10, 1);
  const nlohmann::json map = map_json(given.table, given.places, 0);
  CHECK(map["xy"]["base64"].get<std::string>().size() <= 320000);
  CHECK(map["labels"]["base64"].get<std::string>().size() <= 80000);
}

TEST_CASE("pages: maps of one image, of images in one place, without classes, and of several parts") {
  RandomMap given = random_map(1, 0, 1);
  nlohmann::json map = map_json(given.table, given.places, 0);
  CHECK(unpacked(map["xy"]) == std::vector<std::uint32_t>{0, 0});
  CHECK(map["labels"].is_null());
  CHECK(map["folder"] == "");
  given = random_map(3, 2, 2);
  std::ranges::fill(given.places.xy, 2.5f);
  given.table.labels[1] = -1;
  given.table.parts = {"train", "val"};
  given.table.parts_of = {0, 1, 0};
  map = map_json(given.table, given.places, 0);
  CHECK(unpacked(map["xy"]) == std::vector<std::uint32_t>(6, 0));
  CHECK(map["extent"] == nlohmann::json{2.5, 2.5, 2.5, 2.5});
  CHECK(unpacked(map["labels"])[1] == 255);
  CHECK(unpacked(map["part_of"]) == std::vector<std::uint32_t>{0, 1, 0});
  given.places.xy[3] = std::numeric_limits<float>::quiet_NaN();
  CHECK(test::code_of([&] { map_json(given.table, given.places, 0); }) == ExitCode::internal);
  given.places.xy.pop_back();
  CHECK(test::code_of([&] { map_json(given.table, given.places, 0); }) == ExitCode::internal);
}

TEST_CASE("pages: every thumbnail lies in its place of an atlas where they all fit") {
  RandomMap given = random_map(90, 3, 5);
  add_thumbnails(given.table, 20);
  given.table.thumbnails[4] = Image();
  const nlohmann::json pictures = map_json(given.table, given.places, 1000000)["pictures"];
  const std::size_t side = pictures["side"], columns = pictures["columns"], each = pictures["each"];
  CHECK(side == 32);  // the next multiple of JPEG's blocks
  REQUIRE(pictures["atlases"].size() == 1);
  const Image sheet = decoded_atlas(pictures["atlases"][0]);
  const std::vector<std::uint32_t> of = unpacked(pictures["of"]);
  REQUIRE(of.size() == 90);
  for (std::size_t r = 0; r < 90; ++r) {
    if (r == 4) {
      CHECK(of[r] == 255);
      continue;
    }
    REQUIRE(of[r] < each);
    const std::size_t y = of[r] / columns * side + side / 2, x = of[r] % columns * side + side / 2;
    CHECK(std::abs(int(sheet.pixel(static_cast<int>(y), static_cast<int>(x))[1]) - int(grey_of(r))) <= 6);
  }
}

TEST_CASE("pages: thumbnails never take more bytes than they may, and those that are left are spread evenly") {
  RandomMap given = random_map(1500, 3, 6);
  std::mt19937 dice(7);
  for (std::size_t r = 0; r < 1500; ++r) {
    Image image(32, 32);
    for (std::uint8_t& v : image.pixels) v = static_cast<std::uint8_t>(dice() % (r < 700 ? 256 : 40));
    given.table.thumbnails.push_back(image);
  }
  std::size_t before = 0;
  for (const std::size_t most : {0, 500, 20000, 150000, 600000, 100000000}) {
    CAPTURE(most);
    const nlohmann::json pictures = map_json(given.table, given.places, most)["pictures"];
    if (pictures.is_null()) {
      CHECK(most <= 500);
      continue;
    }
    CHECK(bytes_of(pictures["atlases"]) <= most);
    std::vector<std::size_t> with;
    const std::vector<std::uint32_t> of = unpacked(pictures["of"]);
    const std::uint32_t none = pictures["of"]["bytes"] == 1 ? 0xff : 0xffff;
    for (std::size_t r = 0; r < of.size(); ++r)
      if (of[r] != none) with.push_back(r);
    CHECK(with.size() > before);
    before = with.size();
    for (std::size_t i = 1; i < with.size(); ++i) CHECK(with[i] - with[i - 1] <= 1500 / with.size() + 1);
    if (with.size() < 1500) CHECK(bytes_of(pictures["atlases"]) > most / 2);  // the room is used
  }
  CHECK(before == 1500);
}

TEST_CASE("pages: the element of a map lists its classes, whatever they are called") {
  RandomMap given = random_map(100, 0, 8);
  given.table.classes = test::hostile_names();
  for (std::size_t r = 0; r < 100; ++r)
    given.table.labels.push_back(static_cast<std::int32_t>(r % given.table.classes.size()));
  const std::string html = map_element("map", given.table);
  CHECK(html.starts_with("<section class=\"map\" id=\"map\""));
  CHECK(count_of(html, "<tr>") == 1 + given.table.classes.size());
  CHECK(count_of(html, "<noscript>") == 1);
  CHECK(count_of(html, "<section") == count_of(html, "</section>"));
  CHECK(html.find("<img") == std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("<td class=\"number\">7</td>") != std::string::npos);  // 100 rows of 16 classes
  CHECK(html.find("(no class)") == std::string::npos);
  // Images without a class are no row of another class, and no lost ones.
  for (const std::size_t r : {0u, 16u, 99u}) given.table.labels[r] = -1;
  const std::string mixed = map_element("map", given.table);
  CHECK(count_of(mixed, "<tr>") == 2 + given.table.classes.size());
  CHECK(mixed.find("<td class=\"name\">(no class)</td><td class=\"number\">3</td>") != std::string::npos);
  given.table.labels.clear();
  CHECK(map_element("map", given.table).find("<td class=\"name\">all</td><td class=\"number\">100</td>") !=
        std::string::npos);
  const nlohmann::json data = {{"map", map_json(given.table, given.places, 0)}};
  const std::string text =
      page_text({.title = "t", .body = map_element("map", given.table), .data = &data, .scripts = {"map.js"}});
  CHECK(test::is_utf8(text));
  CHECK(count_of(text, "alert(1)<") == 0);
}

}  // namespace
}  // namespace kindred
