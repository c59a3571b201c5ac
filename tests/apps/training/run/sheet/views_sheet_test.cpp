// The picture of what the network sees, RUN/views.jpg.
#include "../../../../engine/temporary_folder.h"

#include <kindred/apps/training/run/sheet/tiles.h>
#include <kindred/apps/training/run/sheet/views_sheet.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/sets/toy.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <set>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Pictures of different sizes; those in `unreadable` cannot be read.
struct SheetSource : SampleSource {
  std::set<std::int64_t> unreadable{};
  int side = 40;

  std::string name(std::int64_t i) const override { return "folder/" + std::to_string(i) + ".jpg"; }
  void load(std::int64_t i, Decoded& out) const override {
    out = {};
    if (unreadable.contains(i)) {
      out.reason = "planted";
      return;
    }
    RandomStream random(11, Purpose::test, static_cast<std::uint32_t>(i));
    const Image whole = draw_toy_image(static_cast<int>(i % max_toy_classes), side, random);
    out.image = Image(side, side - static_cast<int>(i % 5));
    for (int y = 0; y < out.image.height; ++y)
      std::copy_n(whole.pixel(y, 0), out.image.width * 3, out.image.pixel(y, 0));
    out.outcome = Outcome::ok;
    out.picture_height = out.image.height;
    out.picture_width = out.image.width;
  }
};

Dataset set_of(std::vector<std::string> classes, std::vector<std::int32_t> labels,
               std::set<std::int64_t> unreadable = {}, int side = 40) {
  auto source = std::make_shared<SheetSource>();
  source->unreadable = std::move(unreadable);
  source->side = side;
  return Dataset(std::move(classes), std::move(labels), source, false);
}

Image sheet_pixels(const std::string& file) {
  return decode_image({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}).image;
}

TEST_CASE("sheet of views: at most 12 images, of as many classes as there are, evenly spread") {
  std::vector<std::string> names;
  std::vector<std::int32_t> labels;
  for (int c = 0; c < 30; ++c) {
    names.push_back("c" + std::to_string(c));
    if (c == 10) continue;  // a class without images
    for (int k = 0; k < 4; ++k) labels.push_back(c);
  }
  const Dataset many = set_of(names, labels);
  const auto of_many = images_of_sheet(many);
  CHECK(of_many.size() == 12);
  std::set<std::int32_t> classes;
  for (const std::int64_t i : of_many) {
    classes.insert(many.label(i));
    CHECK((i == 0 || many.label(i - 1) != many.label(i)));  // the first one of its class
  }
  CHECK(classes.size() == 12);
  CHECK(*classes.rbegin() >= 25);

  CHECK(images_of_sheet(set_of({"a", "b"}, {0, 1, 0, 1, 0, 1})) == std::vector<std::int64_t>{0, 2, 4, 1, 3, 5});
  CHECK(images_of_sheet(set_of({"a"}, std::vector<std::int32_t>(24, 0))) ==
        std::vector<std::int64_t>{0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22});
  CHECK(images_of_sheet(set_of({"a", "b"}, {})).empty());
}

TEST_CASE("sheet of views: the views are those that the loader makes in the first epoch") {
  const std::vector<ViewGroup> groups = {{recipe("simaugment", 32), 32, 2}, {recipe("cifar", 24), 24, 3}};
  const Dataset set = set_of({"a", "b", "c"}, {0, 0, 1, 1, 2, 2, 0, 1});
  LoaderOptions options;
  options.batch_size = set.size();
  options.groups = groups;
  options.seed = 77;
  options.shuffle = false;
  options.workers = 0;
  Loader loader(set, options);
  loader.start_epoch(0);
  Batch batch;
  REQUIRE(loader.next(batch));
  const auto rows = views_of_sheet(set, groups, 77);
  REQUIRE(rows.size() == 8);
  for (const ImageWithViews& row : rows) {
    const auto at = static_cast<std::size_t>(std::find(batch.indices.begin(), batch.indices.end(), row.index) -
                                             batch.indices.begin());
    REQUIRE(at < batch.indices.size());
    CHECK(row.image.pixels == set.load(row.index).image.pixels);
    REQUIRE(row.views.size() == 5);
    const std::uint8_t* before = batch.images.data();  // of all rows, the views before
    for (const Image& view : row.views) {
      CHECK(std::memcmp(view.pixels.data(), before + at * view.pixels.size(), view.pixels.size()) == 0);
      before += batch.indices.size() * view.pixels.size();
    }
  }
  const auto others = views_of_sheet(set, groups, 78);
  REQUIRE(others.size() == 8);
  CHECK(others[0].views[0].pixels != rows[0].views[0].pixels);
}

TEST_CASE("sheet of views: it is drawn of the pictures, with their classes as its text, and equal each time") {
  const TemporaryFolder folder;
  const std::vector<ViewGroup> groups = {{recipe("cifar", 32), 32, 2}};
  const std::string hostile = "<b>a\tb\nc</b>";
  const Dataset set = set_of({hostile, "dog"}, {0, 1, 1}, {1});
  const auto rows = views_of_sheet(set, groups, 5);
  REQUIRE(rows.size() == 2);  // one cannot be read
  const std::string sheet = views_sheet(set, rows, groups, 5);
  CHECK(sheet == views_sheet(set, views_of_sheet(set, groups, 5), groups, 5));
  write_views_sheet(folder.path, set, groups, 5);
  CHECK(read_bytes(folder / views_sheet_name) == sheet);
  const auto read = read_picture(folder / views_sheet_name);
  REQUIRE(read);
  CHECK(read->text.find("\n    <b>a\\tb\\nc</b> (0.jpg)\n    dog (2.jpg)\n") != std::string::npos);
  CHECK(read->text.find("with seed 5") != std::string::npos);
  CHECK(read->text.find("- 2 of 32 pixels: random crop") != std::string::npos);

  // Cells of 96 pixels: an image of 40 twice as large, views of 32 three times.
  const Image pixels = sheet_pixels(sheet);
  REQUIRE(pixels.height == 4 + 2 * 100);
  REQUIRE(pixels.width == 4 + 3 * 100 + 12);
  Image expected(pixels.height, pixels.width);
  std::fill(expected.pixels.begin(), expected.pixels.end(), std::uint8_t{255});
  for (int r = 0; r < 2; ++r) {
    const ImageWithViews& row = rows[static_cast<std::size_t>(r)];
    put_tile(expected, 4 + r * 100, 4, 96, row.image);
    for (int v = 0; v < 2; ++v)
      put_tile(expected, 4 + r * 100, 116 + v * 100, 96, row.views[static_cast<std::size_t>(v)]);
  }
  double squares = 0;
  for (std::size_t i = 0; i < pixels.pixels.size(); ++i) {
    const double difference = double(pixels.pixels[i]) - expected.pixels[i];
    squares += difference * difference;
  }
  CHECK(std::sqrt(squares / static_cast<double>(pixels.pixels.size())) < 12);  // JPEG, with half the colour
}

TEST_CASE("sheet of views: tiles are centred, shrunk or enlarged by a whole number, and lie in their square") {
  for (const auto& [height, width, cell, times] :
       {std::tuple(5, 3, 16, 3), std::tuple(16, 16, 16, 1), std::tuple(9, 12, 16, 1), std::tuple(1, 1, 7, 7)}) {
    Image sheet(cell + 6, cell + 8), picture(height, width);
    RandomStream random(9, Purpose::test, static_cast<std::uint32_t>(height));
    for (std::uint8_t& value : picture.pixels) value = static_cast<std::uint8_t>(random.below(200));
    put_tile(sheet, 2, 3, cell, picture);
    const int top = 2 + (cell - height * times) / 2, left = 3 + (cell - width * times) / 2;
    for (int y = 0; y < sheet.height; ++y)
      for (int x = 0; x < sheet.width; ++x) {
        const bool is_picture = y >= top && y < top + height * times && x >= left && x < left + width * times;
        const bool is_cell = y >= 2 && y < 2 + cell && x >= 3 && x < 3 + cell;
        const int expected = is_picture ? *picture.pixel((y - top) / times, (x - left) / times)
                             : is_cell  ? 225
                                        : 0;
        CHECK(int(*sheet.pixel(y, x)) == expected);
      }
  }
}

TEST_CASE("sheet of views: noise, many views and large images stay below the limit") {
  struct NoiseSource : SampleSource {
    std::string name(std::int64_t i) const override { return std::to_string(i); }
    void load(std::int64_t i, Decoded& out) const override {
      out = {};
      out.image = Image(300, 260);
      RandomStream random(1, Purpose::test, static_cast<std::uint32_t>(i));
      for (std::uint8_t& value : out.image.pixels) value = static_cast<std::uint8_t>(random.bits());
      out.outcome = Outcome::ok;
      out.picture_height = 300;
      out.picture_width = 260;
    }
  };
  const Dataset set({std::string(300, 'c')}, std::vector<std::int32_t>(20, 0), std::make_shared<NoiseSource>(),
                    false);
  const std::vector<ViewGroup> groups = {{recipe("probe", 224), 224, 2}, {recipe("probe", 96), 96, 14}};
  const std::string sheet = views_sheet(set, views_of_sheet(set, groups, 0), groups, 0);
  CHECK(sheet.size() > 50'000);
  CHECK(sheet.size() <= most_picture_bytes);
  CHECK_FALSE(sheet_pixels(sheet).empty());
  CHECK(sheet.find("12 of its 16 views") != std::string::npos);
}

TEST_CASE("sheet of views: no image, a link, a folder or a closed folder in its place end nothing") {
  const TemporaryFolder folder;
  const std::vector<ViewGroup> groups = {{recipe("cifar", 32), 32, 2}};
  const fs::path sheet = folder / views_sheet_name;
  write_views_sheet(folder.path, set_of({"a"}, {0, 0}, {0, 1}), groups, 0);
  CHECK_FALSE(fs::exists(sheet));
  const Dataset set = set_of({"a"}, {0, 0});
  write_bytes(folder / "users.jpg", "the user's");
  fs::create_symlink(folder / "users.jpg", sheet);
  write_views_sheet(folder.path, set, groups, 0);
  CHECK(fs::is_regular_file(fs::symlink_status(sheet)));
  CHECK(read_bytes(folder / "users.jpg") == "the user's");
  // The same once more writes nothing.
  const auto written = fs::last_write_time(sheet);
  fs::last_write_time(sheet, written - std::chrono::hours(1));
  write_views_sheet(folder.path, set, groups, 0);
  CHECK(fs::last_write_time(sheet) < written);
  write_views_sheet(folder.path, set, groups, 1);
  CHECK(fs::last_write_time(sheet) >= written);
  // What is not ours stays.
  const std::vector<std::uint8_t> jpeg = encode_jpeg(set.load(0).image, 90);
  const std::string photo = with_text(std::string(jpeg.begin(), jpeg.end()), "Views of our garden");
  for (const std::string& users : {std::string("the user's"), photo}) {
    write_bytes(sheet, users);
    write_views_sheet(folder.path, set, groups, 0);
    CHECK(read_bytes(sheet) == users);
  }
  fs::remove(sheet);
  fs::create_directories(sheet / "inside");
  write_views_sheet(folder.path, set, groups, 0);
  CHECK(fs::exists(sheet / "inside"));
  write_views_sheet(folder / "gone", set, groups, 0);
  CHECK_FALSE(fs::exists(folder / "gone"));
}

}  // namespace
}  // namespace kindred
