// Tables of features: from files, of which most are wrong, and from an encoder, as `embed` writes them.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/analysis/duplicates.h>
#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/data/loading/sample_reader.h>
#include <kindred/data/npz/npz.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>

namespace kindred {
namespace {

struct GivenTable {
  std::vector<std::int64_t> shape = {3, 2};
  std::vector<float> features = {1, 2, 3, 4, 5, 6};
  std::string name = "features";
  std::optional<std::vector<std::string>> paths = std::vector<std::string>{"a.png", "ä/<b>.png", "c.png"};
  std::optional<std::vector<std::int64_t>> labels = std::vector<std::int64_t>{1, 0, 1};
  std::optional<std::vector<std::string>> classes = std::vector<std::string>{"cat", "dog"};
};

void write_given_table(const std::filesystem::path& path, const GivenTable& given) {
  NpzWriter writer(path);
  writer.add<float>(given.name, given.shape, given.features);
  const auto texts = [&](const std::string& name, const std::vector<std::string>& values) {
    std::size_t widest = 1;
    for (const std::string& text : values) widest = std::max(widest, text_width(text));
    writer.begin_texts(name, widest);
    for (const std::string& text : values) writer.append_text(text);
  };
  if (given.labels) writer.add<std::int64_t>("labels", {std::ssize(*given.labels)}, *given.labels);
  if (given.paths) texts("paths", *given.paths);
  if (given.classes) texts("classes", *given.classes);
  writer.commit();
}

struct TableFile {
  TemporaryFolder folder;
  std::string path = folder / "features.npz";
  ImageTable read(const GivenTable& given) const {
    write_given_table(path, given);
    return read_image_table(path);
  }
  void refused(const GivenTable& given, ExitCode code, const std::string& text) const {
    CAPTURE(text);
    write_given_table(path, given);
    CHECK(test::code_of([&] { read_image_table(path); }) == code);
    CHECK(test::error_of([&] { read_image_table(path); }).find(text) != std::string::npos);
    CHECK(test::error_of([&] { read_image_table(path); }).find(path) != std::string::npos);
  }
};

TEST_CASE("table of images: what is in a file of features") {
  const TableFile file;
  const ImageTable table = file.read({});
  CHECK(table.rows() == 3);
  CHECK(table.dim == 2);
  CHECK(table.features == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(table.row(1)[0] == 3);
  CHECK(table.paths[1] == "ä/<b>.png");
  CHECK(table.labels == std::vector<std::int32_t>{1, 0, 1});
  CHECK(table.classes == std::vector<std::string>{"cat", "dog"});
  CHECK(table.parts_of == std::vector<std::int32_t>{0, 0, 0});
  CHECK(table.parts.size() == 1);
  CHECK(table.thumbnails.empty());
  CHECK(table.has_classes());

  const ImageTable numbered = file.read({.classes = std::nullopt});
  CHECK(numbered.classes == std::vector<std::string>{"0", "1"});
  const ImageTable unlabelled = file.read({.labels = std::nullopt});
  CHECK(!unlabelled.has_classes());
  CHECK(unlabelled.classes.empty());
  CHECK(file.read({.shape = {1, 6}, .paths = {{"one.png"}}, .labels = {{0}}}).rows() == 1);
  // -1 stands for no class.
  const ImageTable mixed = file.read({.labels = {{1, -1, 0}}});
  CHECK(mixed.labels == std::vector<std::int32_t>{1, -1, 0});
  CHECK(mixed.classes.size() == 2);
  CHECK(file.read({.labels = {{1, -1, 0}}, .classes = std::nullopt}).classes.size() == 2);
  for (const ImageTable& none : {file.read({.labels = {{-1, -1, -1}}}),
                                 file.read({.labels = {{-1, -1, -1}}, .classes = std::nullopt})}) {
    CHECK(!none.has_classes());
    CHECK(none.classes.empty());
  }
}

TEST_CASE("table of images: chosen rows in their order") {
  ImageTable table = TableFile().read({});
  table.thumbnails = {Image(1, 1), Image(), Image(2, 2)};
  const ImageTable chosen = table.selected({2, 0, 2});
  CHECK(chosen.features == std::vector<float>{5, 6, 1, 2, 5, 6});
  CHECK(chosen.paths == std::vector<std::string>{"c.png", "a.png", "c.png"});
  CHECK(chosen.labels == std::vector<std::int32_t>{1, 1, 1});
  CHECK(chosen.classes == table.classes);
  CHECK(chosen.parts_of.size() == 3);
  CHECK(chosen.thumbnails[0].width == 2);
  CHECK(chosen.thumbnails[1].width == 1);
  CHECK(table.selected({}).rows() == 0);
  CHECK(test::code_of([&] { table.selected({3}); }) == ExitCode::internal);
  CHECK(test::code_of([&] { table.selected({-1}); }) == ExitCode::internal);
}

TEST_CASE("table of images: files that do not fit, and what they lack") {
  const TableFile file;
  file.refused({.name = "logits"}, ExitCode::file, "without --classifier");
  file.refused({.name = "other"}, ExitCode::file, "\"features\"");
  file.refused({.shape = {6}}, ExitCode::file, "[6] of type <f4");
  file.refused({.paths = std::nullopt}, ExitCode::file, "\"paths\"");
  file.refused({.paths = {{"a.png", "b.png"}}}, ExitCode::file, "each of the 3 rows");
  file.refused({.paths = {{"a", "b", "c", "d"}}}, ExitCode::file, "\"paths\" is [4]");
  file.refused({.labels = {{0, 1}}}, ExitCode::file, "\"labels\" is [2]");
  file.refused({.labels = {{0, 1, 2}}}, ExitCode::file, "label 2");
  file.refused({.labels = {{0, -2, 1}}}, ExitCode::file, "label -2");
  file.refused({.labels = {{0, -1, 2}}}, ExitCode::file, "label 2");
  file.refused({.labels = {{0, 1, std::numeric_limits<std::int64_t>::max()}}, .classes = std::nullopt},
               ExitCode::file, "label 9223372036854775807");
  file.refused({.shape = {0, 2}, .features = {}, .paths = {{}}, .labels = {{}}}, ExitCode::data, "0 rows");
  file.refused({.shape = {3, 0}, .features = {}}, ExitCode::data, "0 values");
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()})
    file.refused({.features = {1, 2, 3, value, 5, 6}}, ExitCode::data, "row 1 (ä/<b>.png)");

  NpzWriter writer(file.path);
  writer.add<double>("features", {1, 1}, std::vector<double>{1});
  writer.commit();
  CHECK(test::error_of([&] { read_image_table(file.path); }).find("<f8") != std::string::npos);
  std::ofstream(file.path) << "no archive";
  CHECK(test::code_of([&] { read_image_table(file.path); }) == ExitCode::file);
  CHECK(test::code_of([&] { read_image_table(file.folder / "absent.npz"); }) == ExitCode::file);
}

TEST_CASE("table of images: every file that is cut short is refused") {
  const TableFile file;
  write_given_table(file.path, {});
  const std::string whole = read_bytes(file.path);
  for (std::size_t length = 0; length < whole.size(); length += 37) {
    CAPTURE(length);
    std::ofstream(file.path, std::ios::binary | std::ios::trunc) << whole.substr(0, length);
    CHECK(test::code_of([&] { read_image_table(file.path); }) == ExitCode::file);
  }
}

TEST_CASE(
    "table of images: of two parts of a set, as embed writes them, with thumbnails and copies across parts") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 8), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + run + " --device cpu" + tiny).code == 0);
  // A copy of a training image in val, as another class; and a file that is no picture.
  const auto first_in = [&](const std::string& part) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(set) / part))
      if (entry.is_regular_file()) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    return files.front();
  };
  const auto original = first_in("train"), in_val = first_in("val");
  auto last_class = in_val.parent_path();
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(set) / "val"))
    last_class = std::max(last_class, entry.path());
  std::filesystem::copy_file(original, last_class / ("copy" + original.extension().string()));
  std::ofstream(in_val, std::ios::trunc) << "no picture";

  EncoderFlags flags;
  flags.encoder = run + "/encoder.safetensors";
  flags.device = "cpu";
  flags.batch_size = 5;
  const auto frozen = flags.load();
  std::vector<Dataset> parts = {*open_dataset(set, Split::train), *open_dataset(set, Split::val)};
  std::vector<BadImage> bad;
  const ImageTable table = embed_images(parts, *frozen, {.thumbnail_side = 12, .most_thumbnails = 10}, &bad);
  REQUIRE(table.rows() == 24 + 6);  // 24 + 6 + the copy - the one that cannot be read
  CHECK(bad.size() == 1);
  CHECK(table.parts == std::vector<std::string>{"train", "val"});
  CHECK(std::count(table.parts_of.begin(), table.parts_of.end(), 1) == 6);
  CHECK(table.classes == parts[0].class_names());
  std::int64_t with_thumbnail = 0;
  for (const Image& thumbnail : table.thumbnails) {
    if (thumbnail.empty()) continue;
    ++with_thumbnail;
    CHECK(std::max(thumbnail.width, thumbnail.height) == 12);
    CHECK(std::ranges::max(thumbnail.pixels) > std::ranges::min(thumbnail.pixels));
  }
  CHECK(table.thumbnails.size() == 30);
  CHECK(with_thumbnail >= 9);  // the image that cannot be read may have been chosen
  CHECK(with_thumbnail <= 10);
  const ImageTable without = embed_images({parts[0]}, *frozen, {});
  CHECK(without.thumbnails.empty());

  std::int64_t from = 0;
  for (const std::string part : {"train", "val"}) {
    const std::string out = folder / (part + ".npz");
    REQUIRE(run_program("embed", set + " --device cpu -b 5 --encoder " + flags.encoder + " --split " + part +
                                     " --out " + out)
                .code == 0);
    const ImageTable written = read_image_table(out);
    for (std::int64_t r = 0; r < written.rows(); ++r) {
      CHECK(table.paths[static_cast<std::size_t>(from + r)] == written.paths[static_cast<std::size_t>(r)]);
      CHECK(table.classes[static_cast<std::size_t>(table.labels[static_cast<std::size_t>(from + r)])] ==
            written.classes[static_cast<std::size_t>(written.labels[static_cast<std::size_t>(r)])]);
      for (std::size_t d = 0; d < static_cast<std::size_t>(table.dim); ++d)
        CHECK(table.row(from + r)[d] == doctest::Approx(written.row(r)[d]).epsilon(1e-4));
    }
    from += written.rows();
  }
  CHECK(from == table.rows());

  if (!third_party::has_faiss()) {
    MESSAGE("skipped: this build has no FAISS");
    return;
  }
  const Duplicates found =
      find_duplicates(table, nearest_others(unit_rows(table.features, table.dim), table.dim, 5), 1);
  const auto group =
      std::ranges::find_if(found.groups, [](const DuplicateGroup& one) { return one.crosses_parts; });
  REQUIRE(group != found.groups.end());
  CHECK(group->rows.front() == 0);
  CHECK(table.paths[static_cast<std::size_t>(group->rows.back())].find("copy") != std::string::npos);
  CHECK(group->crosses_classes);
}

}  // namespace
}  // namespace kindred
