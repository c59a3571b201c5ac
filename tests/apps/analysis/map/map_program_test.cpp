// map_embedding, as a user runs it.
#include "../../programs.h"
#include "clusters.h"

#include <kindred/apps/analysis/map/embedding_map.h>
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/npz/npz.h>
#include <kindred/data/sets/toy.h>
#include <kindred/third_party/faiss/faiss.h>

#include <fmt/core.h>
#include <signal.h>  // defines: SIGTERM

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t images = 66, dim = 8;

struct Table {
  std::vector<float> features = test::draw_clusters(images, dim, 3, 0.4f);
  std::vector<std::string> classes{"cat", "<b>\"dog\", & co</b>", "b\u00fcffel"}, paths{};
  std::vector<std::int64_t> labels{};

  Table() {
    for (std::int64_t i = 0; i < images; ++i) {
      paths.push_back(fmt::format("photos, of <i>/{}.png", i));
      labels.push_back(i % 3);
    }
  }
  std::int64_t rows() const { return std::ssize(features) / dim; }
};

void add_texts(NpzWriter& writer, const std::string& name, const std::vector<std::string>& texts) {
  std::size_t widest = 0;
  for (const std::string& text : texts) widest = std::max(widest, text_width(text));
  writer.begin_texts(name, widest);
  for (const std::string& text : texts) writer.append_text(text);
}

std::string write_features(const TemporaryFolder& folder, const Table& table, bool labelled = true) {
  const std::string file = folder / "features.npz";
  NpzWriter writer(file);
  writer.add<float>("features", {table.rows(), dim}, table.features);
  add_texts(writer, "paths", table.paths);
  if (labelled) {
    writer.add<std::int64_t>("labels", {std::ssize(table.labels)}, table.labels);
    add_texts(writer, "classes", table.classes);
  }
  writer.commit();
  return file;
}

// The table of a map that is computed here.
std::string expected_csv(const Table& table, const EmbeddingMap& map, bool labelled) {
  std::string text = labelled ? "path,class,x,y\n" : "path,x,y\n";
  for (std::size_t i = 0; i < table.paths.size(); ++i) {
    text += csv_cell(table.paths[i]) + ",";
    if (labelled) text += csv_cell(table.classes[static_cast<std::size_t>(table.labels[i])]) + ",";
    text += fmt::format("{},{}\n", map.xy[2 * i], map.xy[2 * i + 1]);
  }
  return text;
}

ProgramResult map_program(const std::string& arguments) {
  return run_program("map_embedding", arguments);
}

bool can_run() {
  if (!third_party::has_faiss()) MESSAGE("skipped: this build has no FAISS");
  return third_party::has_faiss();
}

void expect_refusal(const std::string& arguments, int code, const std::string& words) {
  const ProgramResult result = map_program(arguments);
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(says(result, words));
}

TEST_CASE("map_embedding writes the map of a features file as a table, a picture and a page") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  const Table table;
  const std::string features = write_features(folder, table), csv = folder / "map.CSV",
                    png = folder / "map.png", html = folder / "map.html";
  const std::string arguments = features + " --seed 3 --out " + csv + " --out " + png + " --out " + html;
  const ProgramResult result = map_program(arguments);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(says(result, "66 images"));
  CHECK(says(result, "note: --perplexity 30 is lowered to 21.67"));
  MapOptions options;
  options.seed = 3;
  CHECK(read_bytes(csv) == expected_csv(table, map_embedding(table.features, dim, options), true));

  const Decoded picture = decode_file(png);
  REQUIRE(picture.outcome == Outcome::ok);
  CHECK(picture.image.height == 900);
  CHECK(picture.image.width == 1260);
  int marks = 0;  // of the colour of the first class
  for (int y = 0; y < 900; ++y)
    for (int x = 0; x < 900; ++x)
      marks += picture.image.pixel(y, x)[0] == 0 && picture.image.pixel(y, x)[2] == 178;
  CHECK(marks > 22 * 4);

  const std::string page = read_bytes(html);
  CHECK(page.find("class=\"map\"") != std::string::npos);
  CHECK(page.find("<b>\"dog") == std::string::npos);
  CHECK(page.find("<b>\\\"dog") == std::string::npos);  // in JSON
  CHECK(page.find("photos, of <i>") == std::string::npos);
  CHECK(page.find("src=\"http") == std::string::npos);

  const std::string before = read_bytes(csv) + read_bytes(png) + page;
  REQUIRE(map_program(arguments + " --quiet").code == 0);
  CHECK((read_bytes(csv) + read_bytes(png) + read_bytes(html)) == before);
  REQUIRE(map_program(features + " --seed 4 --perplexity 10 --out " + csv).code == 0);
  CHECK(read_bytes(csv) != before.substr(0, fs::file_size(csv)));
}

TEST_CASE(
    "map_embedding: a picture of more classes than it has looks says so, and shows the others as others") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  Table table;
  table.classes.clear();
  for (int c = 0; c < 40; ++c) table.classes.push_back(fmt::format("class {}", c));
  for (std::size_t i = 0; i < table.labels.size(); ++i) table.labels[i] = static_cast<std::int64_t>(i % 40);
  const std::string features = write_features(folder, table), png = folder / "map.png";
  const ProgramResult result = map_program(features + " --method pca --out " + png);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(
      says(result,
           "map.png: the 31 largest of 40 classes have a colour and mark of their own, the other 9 share one"));
  table.classes.resize(32);
  for (std::int64_t& label : table.labels) label %= 32;
  const ProgramResult fits = map_program(write_features(folder, table) + " --method pca --out " + png);
  CHECK(fits.code == 0);
  CHECK(!says(fits, "share"));
}

// How many pixels of the map, without its legend, have this colour.
int pixels_of(const Image& image, std::array<int, 3> color) {
  int found = 0;
  for (int y = 0; y < 900; ++y)
    for (int x = 0; x < 900; ++x) found += std::equal(color.begin(), color.end(), image.pixel(y, x));
  return found;
}

TEST_CASE("map_embedding: images without a class keep their place, and no class changes its colour") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  Table table;
  const std::string png = folder / "map.png", csv = folder / "map.csv", html = folder / "map.html";
  const std::string outs = " --method pca --out " + png + " --out " + csv + " --out " + html;
  for (std::size_t i = 0; i < table.labels.size(); i += 2) table.labels[i] = -1;
  const ProgramResult result = map_program(write_features(folder, table) + outs);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(read_bytes(csv).find("\n\"photos, of <i>/0.png\",,") != std::string::npos);
  CHECK(read_bytes(html).find("<td class=\"name\">(no class)</td><td class=\"number\">33</td>") !=
        std::string::npos);
  const Image mixed = decode_file(png).image;
  CHECK(mixed.width == 1260);
  // The three classes, of eleven images each, are of the first three colours.
  const std::array<int, 3> first{0, 114, 178}, second{230, 159, 0}, third{0, 158, 115};
  for (const auto& color : {first, second, third}) {
    CHECK(pixels_of(mixed, color) > 11 * 4);
    CHECK(pixels_of(mixed, color) < 11 * 50);
  }
  CHECK(pixels_of(mixed, {100, 100, 100}) > 33 * 4);  // those without a class are grey
  // None of them has one: then there is no legend.
  std::ranges::fill(table.labels, -1);
  REQUIRE(map_program(write_features(folder, table) + outs).code == 0);
  CHECK(decode_file(png).image.width == 900);
  CHECK(read_bytes(csv).starts_with("path,x,y\n"));
}

TEST_CASE("map_embedding: a file that cannot be written is known before the features are read") {
  const TemporaryFolder folder;
  const std::string csv = folder / "map.csv", absent = folder / "no/map.html", given = folder / "none.npz";
  expect_refusal(given + " --out " + csv + " --out " + absent, 6, "its folder does not exist: create it");
  CHECK(folder.file_count() == 0);
}

TEST_CASE("map_embedding --method pca, --limit, and images without classes") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  const Table table;
  const std::string features = write_features(folder, table, false), csv = folder / "map.csv",
                    png = folder / "map.png";
  const ProgramResult result = map_program(features + " --method pca --out " + csv + " --out " + png);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(says(result, "% of the variance"));
  MapOptions options;
  options.method = MapMethod::pca;
  CHECK(read_bytes(csv) == expected_csv(table, map_embedding(table.features, dim, options), false));
  CHECK(decode_file(png).image.width == 900);  // no legend

  REQUIRE(map_program(features + " --limit 11 --out " + csv).code == 0);
  const std::string text = read_bytes(csv);
  CHECK(std::count(text.begin(), text.end(), '\n') == 12);
  CHECK(text.find("/60.png") != std::string::npos);  // every sixth
  CHECK(text.find("/61.png") == std::string::npos);
}

TEST_CASE("map_embedding refuses features that are no map, in one line") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  const std::string out = " --out " + (folder / "map.csv").string();
  const auto with_rows = [&](std::int64_t rows) {
    Table table;
    table.features.resize(static_cast<std::size_t>(rows * dim));
    table.paths.resize(static_cast<std::size_t>(rows));
    table.labels.resize(static_cast<std::size_t>(rows));
    return write_features(folder, table);
  };
  SUBCASE("one image, and few images") {
    expect_refusal(with_rows(1) + out, 3, "1 image: a map by t-SNE needs 4 or more");
    expect_refusal(with_rows(1) + " --method pca" + out, 3, "a map by PCA needs 2 or more");
    expect_refusal(with_rows(2) + out, 3, "--method pca draws 2 or more");
    CHECK(map_program(with_rows(2) + " --method pca" + out).code == 0);
    CHECK(map_program(with_rows(4) + out).code == 0);
  }
  SUBCASE("all images equal") {
    Table table;
    std::fill(table.features.begin(), table.features.end(), 0.5f);
    const std::string features = write_features(folder, table);
    for (const std::string method : {"tsne", "pca"}) {
      const ProgramResult result =
          map_program(features + " --method " + method + out + " --out " + (folder / "map.png").string());
      CAPTURE(result.output);
      CHECK(result.code == 0);
      CHECK(says(result, "are equal, so the map says nothing"));
      CHECK(read_bytes(folder / "map.csv").find("nan") == std::string::npos);
    }
  }
  SUBCASE("a value that is not finite") {
    Table table;
    table.features[5 * dim + 1] = std::numeric_limits<float>::quiet_NaN();
    expect_refusal(write_features(folder, table) + out, 3, "5.png");
  }
  SUBCASE("another number of paths than of features") {
    Table table;
    table.paths.pop_back();
    expect_refusal(write_features(folder, table) + out, 4, "paths");
  }
  SUBCASE("no file") {
    expect_refusal((folder / "none.npz").string() + out, 4, "none.npz");
  }
  CHECK(folder.file_count() <= 3);
}

TEST_CASE("map_embedding refuses flags that do not fit, in one line") {
  const TemporaryFolder folder;
  const std::string features = write_features(folder, Table()), csv = folder / "map.csv";
  const std::string before = read_bytes(features);
  expect_refusal(features + " --out " + (folder / "map.gif").string(), 2, ".html, .png and .csv");
  expect_refusal(features + " --out " + (folder / "map").string(), 2, ".html, .png and .csv");
  expect_refusal(features + " --out " + folder.path.string(), 2, "a folder");
  expect_refusal(features + " --out " + features, 2, ".html, .png and .csv");
  expect_refusal(features + " --out " + csv + " --out " + (folder / "./map.csv").string(), 2, "given twice");
  expect_refusal(features + " --out " + csv + " --encoder run", 2, "--encoder");
  expect_refusal(features + " --out " + csv + " --split val", 2, "--split");
  expect_refusal(features + " --out " + csv + " --thumbnails 16", 2, "--thumbnails");
  for (const std::string flag :
       {"--perplexity 1", "--perplexity nan", "--iterations 0", "--limit -1", "--method umap"})
    expect_refusal(features + " --out " + csv + " " + flag, 2, flag.substr(0, flag.find(' ')));
  const std::string set = draw_tiny_set(folder, 2, 4);
  expect_refusal(set + " --out " + csv, 2, "give --encoder");
  expect_refusal(set + " --encoder run --out " + set + "/map.csv", 2, "lies in the data set");
  CHECK(!fs::exists(csv));
  CHECK(read_bytes(features) == before);
}

TEST_CASE("map_embedding embeds the images of a set, and shows them in the page") {
  if (!can_run()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", csv = folder / "map.csv",
                    html = folder / "map.html";
  REQUIRE(run_program("pretrain", set + " --device cpu --out " + run + tiny).code == 0);
  const std::size_t before = folder_fingerprint(set);
  const std::string arguments =
      set + " --device cpu --split train --encoder " + run + " --iterations 50 --out " + csv;
  const ProgramResult result = map_program(arguments + " --limit 20 --out " + html);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(says(result, "20 images of"));
  const std::string text = read_bytes(csv);
  CHECK(std::count(text.begin(), text.end(), '\n') == 21);
  CHECK(text.find(set + "/train/") != std::string::npos);
  CHECK(read_bytes(html).find("data:image/jpeg;base64,") != std::string::npos);
  // The features of embed make the same map.
  const std::string features = folder / "features.npz", again = folder / "again.csv";
  REQUIRE(map_program(arguments).code == 0);
  REQUIRE(
      run_program("embed", set + " --device cpu --split train --encoder " + run + " --out " + features).code ==
      0);
  REQUIRE(map_program(features + " --iterations 50 --out " + again).code == 0);
  CHECK(read_bytes(again) == read_bytes(csv));

  REQUIRE(map_program(arguments + " --thumbnails 0 --out " + html).code == 0);
  CHECK(read_bytes(html).find("data:image/jpeg;base64,") == std::string::npos);
  CHECK(folder_fingerprint(set) == before);

  const ProgramResult stopped =
      run_until_it_opens(set + "/train/" + toy_class_name(0), SIGTERM, "map_embedding",
                         arguments + " --iterations 100000 --out " + html + ".html");
  CAPTURE(stopped.output);
  CHECK(stopped.code == 8);
  CHECK(says(stopped, "SIGTERM: nothing was written"));
  CHECK(!fs::exists(html + ".html"));
}

}  // namespace
}  // namespace kindred
