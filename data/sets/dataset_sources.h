// Internal to data/: one opener per layout. dataset.cpp selects among them.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kindred::detail {

// An opener sets the origin of a set (Dataset::origin) where it knows more than the path that was given.
struct OpenRequest {
  std::filesystem::path dir;
  Split split = Split::train;
  DecodeLimits limits{};
  // Images of train are held out for evaluation, so an evaluation split of the set is not used.
  bool holds_out = false;
  // What Split::evaluation is (DatasetOptions). `split` itself is train or evaluation.
  Split evaluate_on = Split::evaluation;
  std::string list{};                           // lists/open_list.h
  std::shared_ptr<const GivenShards> shards{};  // null: the layout of `dir` says them
};

// class_folders.cpp. Precondition: find_split_folders(request.dir) has a folder for training. The labels of a flat
// validation folder are also looked for in `label_folders`.
std::optional<Dataset> open_class_folders(const OpenRequest& request,
                                          std::vector<std::filesystem::path> label_folders = {});
// The folder with the images of `part` (evaluation, val or test) if nothing says their classes (EvaluationChoice) and the
// images for training have some; otherwise empty. Precondition and `label_folders` as above. Throws Error(data).
std::filesystem::path find_unlabelled_part(const std::filesystem::path& dir, Split part,
                                           std::vector<std::filesystem::path> label_folders);
// Whether the set has folders for evaluation, but none can be used, because they hold no images, images whose classes
// nothing says, or (those for tests) only images of other classes; and the images for training have classes. Precondition and `label_folders` as above. Throws Error(data).
bool has_unusable_evaluation(const std::filesystem::path& dir,
                             std::vector<std::filesystem::path> label_folders);
// Precondition: classes_alone(request.dir) is not empty (folders/layout.h). All images are for training.
std::optional<Dataset> open_classes_alone(const OpenRequest& request);
// The images in these folders of `dir`, which are classes and sorted.
Dataset open_classes(const std::filesystem::path& dir, const std::vector<std::string>& classes,
                     const DecodeLimits& limits);

// folders/image_names.cpp. Returns true if files with such a name are samples of class folders (dataset.h).
bool is_image_name(const std::string& name);

// imagenet.cpp. The classes of images that lie in no class folders.
struct FlatLabels {
  std::vector<std::int32_t> labels;        // one for each file; -1 for a class that train does not have
  std::vector<std::string> extra_classes;  // the names of those classes, sorted
};
// It uses the first source that it finds: Kaggle's CSV, a list, Tiny-ImageNet's annotations, the devkit. Throws
// Error(data) if there is none (Cause::needs_labels) or if it does not fit. A class that train does not have is an error
// only if it is a number, because numbers mean different things in different lists.
FlatLabels flat_validation_labels(const std::filesystem::path& validation,
                                  const std::vector<std::filesystem::path>& label_folders,
                                  const std::vector<std::string>& files,
                                  const std::vector<std::string>& classes);
// Whether there is such a source.
bool has_flat_labels(const std::filesystem::path& validation,
                     const std::vector<std::filesystem::path>& label_folders);
// Whether a file of this name may be such a source.
bool is_label_file_name(std::string_view name);

// DIR/ILSVRC/Data/CLS-LOC, where Kaggle's archive puts the images, if it exists.
std::optional<std::filesystem::path> find_kaggle_imagenet(const std::filesystem::path& dir);
// For .../ILSVRC/Data/CLS-LOC: the folder that holds ILSVRC, where Kaggle's CSV lies. For other folders: empty.
std::vector<std::filesystem::path> label_folders_of(const std::filesystem::path& dir);

// web_dataset.cpp
bool has_shards(const std::filesystem::path& dir);  // tar files in DIR, or in DIR/train
std::optional<Dataset> open_web_dataset(const OpenRequest& request);
// Those of request.shards. `dir` is only what the set is called.
std::optional<Dataset> open_given_shards(const OpenRequest& request);

// pack.cpp
std::vector<std::filesystem::path> find_packs(
    const std::filesystem::path& path);  // the file itself, or DIR/*.kpack
std::optional<Dataset> open_packs(const OpenRequest& request, const std::vector<std::filesystem::path>& packs);

// cifar_binary.cpp
struct CifarLocation {
  std::filesystem::path dir;  // the folder of the binary files
  int fine_classes = 0;       // 10 or 100
};
std::optional<CifarLocation> find_cifar_binary(const std::filesystem::path& dir);
std::optional<Dataset> open_cifar_binary(const OpenRequest& request, const CifarLocation& location);
std::string place_of_cifar_tests(const CifarLocation& location);  // place_of_evaluation(), of this layout
// The label of each record of a file. Throws Error(data) if the file does not consist of records, or if a label
// is too large.
std::vector<std::int32_t> parse_cifar_labels(std::span<const std::uint8_t> bytes, int fine_classes,
                                             const std::string& path);
// One class per line. Throws Error(data) unless there are as many as expected.
std::vector<std::string> parse_cifar_classes(std::span<const std::uint8_t> bytes, int expected,
                                             const std::string& path);

// listing.cpp. Names of the folders that lie directly in `dir`, of the symbolic links there, whatever they lead to, of all
// that `wanted` accepts, or of the files among these. They are sorted by bytes, and names that begin with a dot are
// omitted. A broken link counts as a file. Throws Error(data).
std::vector<std::string> list_folders(const std::filesystem::path& dir);
std::vector<std::string> list_links(const std::filesystem::path& dir);
std::vector<std::string> list_named(const std::filesystem::path& dir,
                                    const std::function<bool(const std::string& name)>& wanted);
std::vector<std::string> list_files(const std::filesystem::path& dir, bool (*wanted)(const std::string& name));

}  // namespace kindred::detail
