// DIR/train/<class>/* with DIR/val or DIR/test. The latter may be flat if another file gives the classes.
#include <kindred/data/files/file.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/name_table.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <numeric>
#include <string_view>

namespace kindred::detail {

namespace fs = std::filesystem;

class FileSource : public SampleSource {
 public:
  explicit FileSource(const DecodeLimits& limits) : SampleSource(limits) {}

  // The samples of a folder are added one after the other.
  void add_folder(const fs::path& folder) { folders_.push_back((folder / "").string()); }
  void add_file(std::string_view name) {
    names_.add(name);
    folder_of_.push_back(static_cast<std::uint32_t>(folders_.size() - 1));
  }

  std::string name(std::int64_t i) const override {
    std::string path;
    set_path(path, i);
    return path;
  }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    thread_local std::string path;  // kept, so that loading an image allocates nothing
    set_path(path, i);
    Encoded file;
    file.reason = read_file(path, limits().max_file_bytes, scratch);
    file.bytes = scratch;
    return file;
  }

 private:
  void set_path(std::string& path, std::int64_t i) const {
    const auto at = static_cast<std::size_t>(i);
    path.assign(folders_[folder_of_[at]]).append(names_[at]);
  }

  std::vector<std::string> folders_;      // each ends in '/'
  std::vector<std::uint32_t> folder_of_;  // [samples]
  NameTable names_;                       // [samples]
};

namespace {

constexpr std::array<std::string_view, 12> candidate_endings{".jpg", ".jpeg", ".jpe",  ".jfif", ".png", ".bmp",
                                                             ".gif", ".tif",  ".tiff", ".webp", ".ppm", ".pgm"};

std::string quoted(const std::vector<std::string>& names) {
  std::string text;
  const std::size_t shown = std::min<std::size_t>(names.size(), 5);
  for (std::size_t i = 0; i < shown; ++i) text += fmt::format("{}'{}'", i > 0 ? ", " : "", names[i]);
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

std::vector<std::string> difference(const std::vector<std::string>& all,
                                    const std::vector<std::string>& without) {
  std::vector<std::string> rest;
  std::set_difference(all.begin(), all.end(), without.begin(), without.end(), std::back_inserter(rest));
  return rest;
}

std::vector<std::string> list_training_classes(const fs::path& train) {
  std::vector<std::string> classes = list_folders(train);
  check(!classes.empty(), ExitCode::data,
        "{}: no class folders in it; expected {}/<class>/*.jpg, a folder per class", train.string(),
        train.string());
  check(classes.size() >= 2, ExitCode::data,
        "{}: only one class, '{}'; at least two are needed to learn from labels", train.string(),
        classes.front());
  return classes;
}

void check_same_classes(const std::vector<std::string>& training, const fs::path& folder) {
  const std::vector<std::string> here = list_folders(folder);
  const std::vector<std::string> missing = difference(training, here), extra = difference(here, training);
  if (missing.empty() && extra.empty()) return;
  std::string what;
  if (!missing.empty()) what += "lacks " + quoted(missing);
  if (!extra.empty())
    what += (what.empty() ? "has " : " and has ") + quoted(extra) + ", which train does not have";
  fail(ExitCode::data,
       "{}: its classes differ from the classes of train: it {}; give both the same class folders",
       folder.string(), what);
}

// The folder with the evaluation images, if there is one.
std::optional<fs::path> evaluation_folder(const fs::path& dir) {
  for (const char* name : {"val", "test"}) {
    std::error_code ignored;
    if (fs::is_directory(dir / name, ignored)) return dir / name;
  }
  return std::nullopt;
}

// ImageNet's validation images after unpacking: all in one folder.
bool is_flat(const fs::path& folder) {
  return list_folders(folder).empty() && !list_files(folder, is_image_name).empty();
}

// The samples are in the order that they would have in class folders.
Dataset open_flat(const OpenRequest& request, const fs::path& folder, std::vector<std::string> classes,
                  std::vector<fs::path> label_folders) {
  const std::vector<std::string> files = list_files(folder, is_image_name);
  label_folders.push_back(request.dir);
  const std::vector<std::int32_t> found = flat_validation_labels(folder, label_folders, files, classes);
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return found[a] < found[b]; });
  auto source = std::make_shared<FileSource>(request.limits);
  source->add_folder(folder);
  std::vector<std::int32_t> labels;
  for (const std::size_t i : order) {
    source->add_file(files[i]);
    labels.push_back(found[i]);
  }
  return Dataset(std::move(classes), std::move(labels), std::move(source), false);
}

}  // namespace

bool is_image_name(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(candidate_endings.begin(), candidate_endings.end(), ending) != candidate_endings.end();
}

std::optional<Dataset> open_class_folders(const OpenRequest& request,
                                          const std::vector<fs::path>& label_folders) {
  fs::path folder = request.dir / "train";
  std::vector<std::string> classes = list_training_classes(folder);
  if (request.split == Split::evaluation) {
    const std::optional<fs::path> evaluation = evaluation_folder(request.dir);
    if (!evaluation) return std::nullopt;
    folder = *evaluation;
    if (is_flat(folder)) return open_flat(request, folder, std::move(classes), label_folders);
    check_same_classes(classes, folder);
  }

  auto source = std::make_shared<FileSource>(request.limits);
  std::vector<std::int32_t> labels;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const fs::path class_folder = folder / classes[label];
    const std::vector<std::string> files = list_files(class_folder, is_image_name);
    check(!files.empty(), ExitCode::data,
          "{}: no images in this class folder (JPEG, PNG or BMP files must lie directly in it); add some or "
          "remove it",
          class_folder.string());
    source->add_folder(class_folder);
    for (const std::string& file : files) source->add_file(file);
    labels.insert(labels.end(), files.size(), static_cast<std::int32_t>(label));
  }
  return Dataset(std::move(classes), std::move(labels), std::move(source), false);
}

}  // namespace kindred::detail

namespace kindred {

namespace fs = std::filesystem;

Dataset open_loose_images(const std::string& dir) {
  std::map<std::string, std::vector<std::string>> files;  // by folder, relative to dir
  std::error_code error;
  fs::recursive_directory_iterator entry(dir, fs::directory_options::skip_permission_denied, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code broken;
    const fs::path& path = entry->path();
    std::string name = path.filename().string();
    if (!name.starts_with('.') && !entry->is_directory(broken))
      files[path.parent_path().lexically_relative(dir).string()].push_back(std::move(name));
  }
  check(!error, ExitCode::data, "{}: cannot be listed: {}", dir, error.message());
  check(!files.empty(), ExitCode::data, "{}: no files in it, at any depth", dir);
  auto source = std::make_shared<detail::FileSource>(DecodeLimits{});
  std::vector<std::string> classes;
  std::vector<std::int32_t> labels;
  for (auto& [folder, names] : files) {
    std::sort(names.begin(), names.end());
    source->add_folder((fs::path(dir) / folder).lexically_normal());
    for (const std::string& name : names) source->add_file(name);
    labels.insert(labels.end(), names.size(), static_cast<std::int32_t>(classes.size()));
    classes.push_back(folder);
  }
  return Dataset(std::move(classes), std::move(labels), std::move(source), false);
}

}  // namespace kindred
