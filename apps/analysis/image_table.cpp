#include <kindred/apps/analysis/image_table.h>
#include <kindred/data/npz/npz.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

constexpr std::int64_t most_unnamed_classes = 1'000'000;  // of a file whose labels alone say how many there are

const NpzEntry* entry_of(const NpzFile& file, const std::string& name) {
  const auto found = std::ranges::find(file.entries(), name, &NpzEntry::name);
  return found == file.entries().end() ? nullptr : &*found;
}

// Throws Error(file) unless the array is there, with this type and shape; -1 stands for any number.
const NpzEntry& expected_entry(const NpzFile& file, const std::string& path, const std::string& name,
                               const std::string& type, const std::vector<std::int64_t>& shape,
                               const std::string& expected) {
  const NpzEntry* entry = entry_of(file, name);
  check(entry != nullptr, ExitCode::file, "{}: it has no \"{}\"; expected {}, as `embed` writes it{}", path,
        name, expected,
        name == "features" && entry_of(file, "logits") != nullptr
            ? "; it has logits: run embed without --classifier"
            : "");
  bool fits = entry->type.starts_with(type) && entry->shape.size() == shape.size();
  for (std::size_t axis = 0; fits && axis < shape.size(); ++axis)
    fits = shape[axis] < 0 || shape[axis] == entry->shape[axis];
  std::string given;
  for (const std::int64_t size : entry->shape) given += fmt::format("{}{}", given.empty() ? "" : ", ", size);
  check(fits, ExitCode::file, "{}: \"{}\" is [{}] of type {}; expected {}, as `embed` writes it", path, name,
        given, entry->type, expected);
  return *entry;
}

std::vector<std::string> read_names(const NpzFile& file, const std::string& path, const NpzEntry& entry) {
  std::vector<std::string> names = file.read_texts(entry);
  check(std::ssize(names) == entry.shape.front(), ExitCode::file, "{}: \"{}\" holds no texts", path,
        entry.name);
  return names;
}

std::vector<std::int64_t> read_labels(const NpzFile& file, const std::string& path, std::int64_t rows) {
  const std::string expected = fmt::format("whole numbers, one for each of {}", counted(rows, "row"));
  if (const NpzEntry* entry = entry_of(file, "labels"); entry->type == npy_type<std::int32_t>) {
    const std::vector<std::int32_t> narrow =
        file.read<std::int32_t>(expected_entry(file, path, "labels", entry->type, {rows}, expected));
    return {narrow.begin(), narrow.end()};
  }
  return file.read<std::int64_t>(
      expected_entry(file, path, "labels", npy_type<std::int64_t>, {rows}, expected));
}

void read_classes(ImageTable& table, const NpzFile& file, const std::string& path) {
  if (entry_of(file, "labels") == nullptr) return;
  const std::vector<std::int64_t> labels = read_labels(file, path, table.rows());
  const auto [least, most] = std::ranges::minmax_element(labels);
  if (entry_of(file, "classes") != nullptr) {
    table.classes =
        read_names(file, path, expected_entry(file, path, "classes", "<U", {-1}, "the names of the classes"));
  } else {
    check(*most < most_unnamed_classes, ExitCode::file, "{}: label {} is beyond {}; give the file \"classes\"",
          path, *most, most_unnamed_classes - 1);
    for (std::int64_t c = 0; c <= *most; ++c) table.classes.push_back(std::to_string(c));
  }
  const std::int64_t wrong = *least < -1 ? *least : *most;
  check(wrong >= -1 && wrong < std::ssize(table.classes), ExitCode::file,
        "{}: label {} has no name among the {} of \"classes\"; expected numbers from 0, or -1 for an image "
        "without a "
        "class",
        path, wrong, counted(std::ssize(table.classes), "name"));
  if (*most < 0)
    table.classes.clear();  // none has a class
  else
    table.labels.assign(labels.begin(), labels.end());
}

template <typename T>
std::vector<T> chosen_of(const std::vector<T>& all, const std::vector<std::int64_t>& rows) {
  std::vector<T> chosen;
  if (all.empty()) return chosen;
  chosen.reserve(rows.size());
  for (const std::int64_t row : rows) chosen.push_back(all[static_cast<std::size_t>(row)]);
  return chosen;
}

}  // namespace

ImageTable ImageTable::selected(const std::vector<std::int64_t>& chosen) const {
  check(std::ranges::all_of(chosen, [&](std::int64_t r) { return r >= 0 && r < rows(); }), ExitCode::internal,
        "a row that is not among the {} of a table was chosen", rows());
  ImageTable table;
  table.dim = dim;
  table.features.reserve(chosen.size() * static_cast<std::size_t>(dim));
  for (const std::int64_t r : chosen) table.features.insert(table.features.end(), row(r).begin(), row(r).end());
  table.paths = chosen_of(paths, chosen);
  table.labels = chosen_of(labels, chosen);
  table.classes = classes;
  table.parts_of = chosen_of(parts_of, chosen);
  table.parts = parts;
  table.thumbnails = chosen_of(thumbnails, chosen);
  return table;
}

ImageTable read_image_table(const std::string& path) {
  const NpzFile file(path);
  ImageTable table;
  const NpzEntry& features =
      expected_entry(file, path, "features", npy_type<float>, {-1, -1}, "a row of f32 for each image");
  const std::int64_t rows = features.shape[0];
  table.dim = features.shape[1];
  check(rows > 0 && table.dim > 0, ExitCode::data,
        "{}: \"features\" holds {} of {}; expected at least one of each", path, counted(rows, "row"),
        counted(table.dim, "value"));
  const NpzEntry& paths =
      expected_entry(file, path, "paths", "<U", {rows},
                     fmt::format("a text for each of the {} of \"features\"", counted(rows, "row")));
  table.paths = read_names(file, path, paths);
  read_classes(table, file, path);
  table.features = file.read<float>(features);
  const auto bad = std::ranges::find_if(table.features, [](float value) { return !std::isfinite(value); });
  if (bad != table.features.end()) {
    const std::int64_t row = (bad - table.features.begin()) / table.dim;
    fail(ExitCode::data,
         "{}: the features of row {} ({}) are not all finite; embed the images again, or leave it out", path,
         row, table.paths[static_cast<std::size_t>(row)]);
  }
  table.parts_of.assign(static_cast<std::size_t>(rows), 0);
  return table;
}

}  // namespace kindred
