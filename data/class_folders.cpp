// DIR/train/<class>/* with DIR/val or DIR/test.
#include <kindred/data/dataset_sources.h>
#include <kindred/data/file.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

class FileSource : public SampleSource {
 public:
  FileSource(std::vector<std::string> paths, const DecodeLimits& limits)
      : SampleSource(limits), paths_(std::move(paths)) {}
  std::string name(std::int64_t i) const override { return paths_[static_cast<std::size_t>(i)]; }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    Encoded file;
    file.reason = read_file(paths_[static_cast<std::size_t>(i)], limits().max_file_bytes, scratch);
    file.bytes = scratch;
    return file;
  }

 private:
  std::vector<std::string> paths_;  // [samples]
};

constexpr std::array<std::string_view, 12> candidate_endings{".jpg", ".jpeg", ".jpe",  ".jfif", ".png", ".bmp",
                                                             ".gif", ".tif",  ".tiff", ".webp", ".ppm", ".pgm"};

bool is_candidate(const std::string& name) {
  std::string ending = fs::path(name).extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(candidate_endings.begin(), candidate_endings.end(), ending) != candidate_endings.end();
}

enum class Wanted { folders, images };

// Names of the folders or of the images that lie directly in `dir`, sorted by their bytes.
std::vector<std::string> list(const fs::path& dir, Wanted wanted) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(dir, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with('.')) continue;
    if (wanted == Wanted::images && !is_candidate(name)) continue;
    std::error_code broken_link;  // counts as a file: loading it then says what is wrong
    const bool folder = entry->is_directory(broken_link);
    if (folder == (wanted == Wanted::folders)) names.push_back(name);
  }
  check(!error, ExitCode::data, "{}: cannot be listed: {}", dir.string(), error.message());
  std::sort(names.begin(), names.end());
  return names;
}

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
  std::vector<std::string> classes = list(train, Wanted::folders);
  check(!classes.empty(), ExitCode::data,
        "{}: no class folders in it; expected {}/<class>/*.jpg, a folder per class", train.string(),
        train.string());
  check(classes.size() >= 2, ExitCode::data,
        "{}: only one class, '{}'; at least two are needed to learn from labels", train.string(),
        classes.front());
  return classes;
}

void check_same_classes(const std::vector<std::string>& training, const fs::path& folder) {
  const std::vector<std::string> here = list(folder, Wanted::folders);
  const std::vector<std::string> missing = difference(training, here), extra = difference(here, training);
  if (missing.empty() && extra.empty()) return;
  std::string what;
  if (!missing.empty()) what += "lacks " + quoted(missing);
  if (!extra.empty()) what += (what.empty() ? "has " : " and has ") + quoted(extra) + ", which train lacks";
  fail(ExitCode::data, "{}: its classes differ from train's: it {}; give both the same class folders",
       folder.string(), what);
}

// The folder to evaluate on, if there is one.
std::optional<fs::path> evaluation_folder(const fs::path& dir) {
  for (const char* name : {"val", "test"}) {
    std::error_code ignored;
    if (fs::is_directory(dir / name, ignored)) return dir / name;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Dataset> open_class_folders(const OpenRequest& request) {
  fs::path folder = request.dir / "train";
  std::vector<std::string> classes = list_training_classes(folder);
  if (request.split == Split::evaluation) {
    const std::optional<fs::path> evaluation = evaluation_folder(request.dir);
    if (!evaluation) return std::nullopt;
    folder = *evaluation;
    check_same_classes(classes, folder);
  }

  std::vector<std::string> paths;
  std::vector<std::int32_t> labels;
  for (std::size_t label = 0; label < classes.size(); ++label) {
    const fs::path class_folder = folder / classes[label];
    std::vector<std::string> files = list(class_folder, Wanted::images);
    check(!files.empty(), ExitCode::data,
          "{}: no images in this class folder (JPEG, PNG or BMP files must lie directly in it); add some or "
          "remove it",
          class_folder.string());
    if (request.limit_per_class > 0 && files.size() > static_cast<std::size_t>(request.limit_per_class)) {
      files.resize(static_cast<std::size_t>(request.limit_per_class));
    }
    for (const std::string& file : files) {
      paths.push_back((class_folder / file).string());
      labels.push_back(static_cast<std::int32_t>(label));
    }
  }
  auto source = std::make_shared<FileSource>(std::move(paths), request.limits);
  return Dataset(std::move(classes), std::move(labels), std::move(source), false);
}

}  // namespace kindred::detail
