// ImageNet's validation images in their original form, and Tiny-ImageNet's: all in one folder, with their classes
// in another file.
//
//   Kaggle    LOC_val_solution.csv, with the header ImageId,PredictionString; class, box, class, box ...:
//               ILSVRC2012_val_00048981,n03995372 85 1 499 272
//   a list    val.txt and others; the extension of the name may be missing:
//               ILSVRC2012_val_00000001.JPEG n01751748
//   Tiny      val_annotations.txt, separated by tabs: image, class, box:
//               val_0.JPEG	n03444034	0	32	44	62
//   the kit   ILSVRC2012_validation_ground_truth.txt: line k is the number of the class of
//             ILSVRC2012_val_<k>.JPEG. These numbers are the kit's own; meta.mat beside it gives their names.
#include <kindred/data/files/file.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/mat_file.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_label_file = std::size_t{64} << 20;
constexpr const char* ground_truth_name = "ILSVRC2012_validation_ground_truth.txt";
constexpr const char* csv_name = "LOC_val_solution.csv";
constexpr const char* tabs_name = "val_annotations.txt";
constexpr const char* list_names[] = {"val.txt", "val_labels.txt", "val_map.txt", "ILSVRC2012_val.txt",
                                      "ILSVRC2012_val_labels.txt"};

struct LabelFile {
  enum class Kind { csv, list, tabs, kit } kind;
  fs::path path;
};

std::optional<LabelFile> find_label_file(const fs::path& validation, std::vector<fs::path> folders) {
  folders.push_back(validation);
  const auto find = [&](LabelFile::Kind kind, const fs::path& name) -> std::optional<LabelFile> {
    std::error_code ignored;
    for (const fs::path& folder : folders)
      if (fs::exists(folder / name, ignored)) return LabelFile{kind, folder / name};
    return std::nullopt;
  };
  if (const auto found = find(LabelFile::Kind::csv, csv_name)) return found;
  for (const char* name : list_names)
    if (const auto found = find(LabelFile::Kind::list, name)) return found;
  if (const auto found = find(LabelFile::Kind::tabs, tabs_name)) return found;
  for (const char* folder :
       {".", "ILSVRC2012_devkit_t12/data", "ILSVRC2012_devkit_t12", "devkit/data", "devkit", "data"})
    if (const auto found = find(LabelFile::Kind::kit, fs::path(folder) / ground_truth_name)) return found;
  return std::nullopt;
}

std::string read_label_text(const fs::path& path) {
  const FileContent file = read_file(path.string(), max_label_file);
  check(file.ok(), ExitCode::data, "{}: {}", path.string(), file.reason);
  return std::string(file.bytes.begin(), file.bytes.end());
}

// "ILSVRC2012_val_00000001" for a name with or without an extension.
std::string stem_of(const std::string& name) {
  return is_image_name(name) ? fs::path(name).stem().string() : name;
}

using ClassOfImage = std::unordered_map<std::string, std::string>;  // stem -> class name

// The first two words of a line.
void split_label_line(const std::string& line, std::string& image, std::string& class_name) {
  image.clear();
  class_name.clear();
  std::istringstream words(line);
  words >> image >> class_name;
}

// The first two fields of a line, in which tabs separate fields and names may hold spaces.
void split_tabbed_line(const std::string& line, std::string& image, std::string& class_name) {
  const std::size_t tab = line.find('\t');
  image = line.substr(0, tab);
  class_name.clear();
  if (tab != std::string::npos) class_name = line.substr(tab + 1, line.find('\t', tab + 1) - (tab + 1));
}

// Reads lines of "image<separator>class ..."; text after the class is ignored.
ClassOfImage read_lines(const fs::path& path, LabelFile::Kind kind) {
  const bool csv = kind == LabelFile::Kind::csv;
  ClassOfImage classes;
  std::istringstream lines(read_label_text(path));
  std::int64_t number = 0;
  for (std::string line, image, class_name; std::getline(lines, line);) {
    ++number;
    if (csv && number == 1) continue;  // the column names
    if (csv) std::replace(line.begin(), line.end(), ',', ' ');
    if (line.ends_with('\r')) line.pop_back();
    if (kind == LabelFile::Kind::tabs)
      split_tabbed_line(line, image, class_name);
    else
      split_label_line(line, image, class_name);
    if (image.empty()) continue;
    check(!class_name.empty(), ExitCode::data, "{}: line {}: no class after '{}'; expected 'image class'",
          path.string(), number, image);
    const auto [entry, added] = classes.emplace(stem_of(image), class_name);
    check(added || entry->second == class_name, ExitCode::data, "{}: line {}: '{}' has two classes, {} and {}",
          path.string(), number, image, entry->second, class_name);
  }
  return classes;
}

std::int64_t integer(std::string_view text, const fs::path& path, std::int64_t line) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check(error == std::errc{} && end == text.data() + text.size(), ExitCode::data,
        "{}: line {}: '{}' is not a class number", path.string(), line, text);
  return value;
}

ClassOfImage read_kit(const fs::path& path) {
  const fs::path meta = path.parent_path() / "meta.mat";
  const FileContent file = read_file(meta.string(), max_label_file);
  check(file.ok(), ExitCode::data,
        "{}: {}; the class numbers in {} cannot be read without it: unpack the whole kit", meta.string(),
        file.reason, path.filename().string());
  std::map<std::int64_t, std::string> names;
  for (const Synset& synset : read_synsets(file.bytes, meta.string())) names[synset.id] = synset.wnid;
  ClassOfImage classes;
  std::istringstream words(read_label_text(path));
  std::int64_t line = 0;
  for (std::string word; words >> word;) {
    const auto name = names.find(integer(word, path, ++line));
    check(name != names.end(), ExitCode::data, "{}: line {}: class {} is not in {}", path.string(), line, word,
          meta.string());
    classes[fmt::format("ILSVRC2012_val_{:08}", line)] = name->second;
  }
  return classes;
}

bool is_class_number(const std::string& name) {
  return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

FlatLabels flat_validation_labels(const fs::path& validation, const std::vector<fs::path>& label_folders,
                                  const std::vector<std::string>& files,
                                  const std::vector<std::string>& classes) {
  const auto source = find_label_file(validation, label_folders);
  check(source.has_value(), ExitCode::data, Cause::needs_labels,
        "{}: its images lie in no class folders, so their classes are unknown; put LOC_val_solution.csv, a "
        "val.txt of 'image class' lines, or the folder ILSVRC2012_devkit_t12 into {}",
        validation.string(), label_folders.back().string());
  const ClassOfImage class_of_image =
      source->kind == LabelFile::Kind::kit ? read_kit(source->path) : read_lines(source->path, source->kind);
  const bool numbered = std::any_of(classes.begin(), classes.end(), is_class_number);
  FlatLabels found;
  std::set<std::string> extra;
  for (const std::string& file : files) {
    const auto entry = class_of_image.find(stem_of(file));
    check(entry != class_of_image.end(), ExitCode::data,
          "{}: has no entry for {}; remove the image or name its class", source->path.string(),
          (validation / file).string());
    const std::string& class_name = entry->second;
    const auto at = std::lower_bound(classes.begin(), classes.end(), class_name);  // they are sorted
    const bool known = at != classes.end() && *at == class_name;
    check(
        known || numbered || !is_class_number(class_name), ExitCode::data,
        "{}: {} is of class '{}', which train does not have; numbers mean different things in different lists, "
        "so give the classes by the names of the folders of train, such as '{}', in place of numbers",
        source->path.string(), file, class_name, classes.front());
    if (!known) extra.insert(class_name);
    found.labels.push_back(known ? static_cast<std::int32_t>(at - classes.begin()) : -1);
  }
  found.extra_classes.assign(extra.begin(), extra.end());
  return found;
}

bool has_flat_labels(const fs::path& validation, const std::vector<fs::path>& label_folders) {
  return find_label_file(validation, label_folders).has_value();
}

bool is_label_file_name(std::string_view name) {
  return name == csv_name || name == tabs_name || name == ground_truth_name ||
         std::find(std::begin(list_names), std::end(list_names), name) != std::end(list_names);
}

std::optional<fs::path> find_kaggle_imagenet(const fs::path& dir) {
  std::error_code ignored;
  for (const char* inside : {"ILSVRC/Data/CLS-LOC", "Data/CLS-LOC"})
    if (fs::is_directory(dir / inside / "train", ignored) && !find_split_folders(dir / inside).train.empty())
      return dir / inside;
  return std::nullopt;
}

std::vector<fs::path> label_folders_of(const fs::path& dir) {
  std::error_code ignored;
  const fs::path whole = fs::weakly_canonical(dir, ignored);
  if (ignored || whole.filename() != "CLS-LOC") return {};
  return {whole.parent_path().parent_path().parent_path()};
}

}  // namespace kindred::detail
