// Internal to data/: one opener per layout. dataset.cpp selects among them.
#pragma once

#include <kindred/data/sets/dataset.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

struct OpenRequest {
  std::filesystem::path dir;
  Split split = Split::train;
  DecodeLimits limits;
};

// class_folders.cpp. Precondition: request.dir / "train" is a folder. The labels of a flat validation folder
// are also looked for in `label_folders`.
std::optional<Dataset> open_class_folders(const OpenRequest& request,
                                          const std::vector<std::filesystem::path>& label_folders = {});

// Returns true if a name has an image extension, whether Kindred can read the format or not (dataset.h).
bool is_image_name(const std::string& name);

// imagenet.cpp. The class of each image of a validation folder without class folders. It uses the first source
// that it finds: Kaggle's CSV, a list, the devkit. Throws Error(data) if there is none or if it does not fit.
std::vector<std::int32_t> flat_validation_labels(const std::filesystem::path& validation,
                                                 const std::vector<std::filesystem::path>& label_folders,
                                                 const std::vector<std::string>& files,
                                                 const std::vector<std::string>& classes);

// DIR/ILSVRC/Data/CLS-LOC, where Kaggle's archive puts the images, if it exists.
std::optional<std::filesystem::path> find_kaggle_imagenet(const std::filesystem::path& dir);
// For .../ILSVRC/Data/CLS-LOC: the folder that holds ILSVRC, where Kaggle's CSV lies. For other folders: empty.
std::vector<std::filesystem::path> label_folders_of(const std::filesystem::path& dir);

// web_dataset.cpp
bool has_shards(const std::filesystem::path& dir);  // tar files in DIR, or in DIR/train
std::optional<Dataset> open_web_dataset(const OpenRequest& request);

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
// The label of each record of a file. Throws Error(data) if the file does not consist of records, or if a label
// is too large.
std::vector<std::int32_t> parse_cifar_labels(std::span<const std::uint8_t> bytes, int fine_classes,
                                             const std::string& path);
// One class per line. Throws Error(data) unless there are as many as expected.
std::vector<std::string> parse_cifar_classes(std::span<const std::uint8_t> bytes, int expected,
                                             const std::string& path);

// listing.cpp. Names of the folders that lie directly in `dir`, or of the files there whose name `wanted`
// accepts. They are sorted by bytes, and names that begin with a dot are omitted. A broken link counts as a
// file. Throws Error(data).
std::vector<std::string> list_folders(const std::filesystem::path& dir);
std::vector<std::string> list_files(const std::filesystem::path& dir, bool (*wanted)(const std::string& name));

}  // namespace kindred::detail
