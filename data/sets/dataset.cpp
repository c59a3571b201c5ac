#include <kindred/data/images/decode_formats.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <utility>

namespace kindred {

std::optional<Encoded> SampleSource::encoded(std::int64_t, std::vector<std::uint8_t>&) const {
  return std::nullopt;
}

void SampleSource::load(std::int64_t i, Decoded& out) const {
  std::vector<std::uint8_t> scratch;
  const std::optional<Encoded> file = encoded(i, scratch);
  check(file.has_value(), ExitCode::internal, "{}: its source gives neither bytes nor pixels", name(i));
  if (!file->ok()) return detail::reject(out, file->reason);
  Decoder decoder;
  decoder.open(file->bytes, limits_);
  decoder.decode_whole(out);
}

namespace {

// Class names are saved with the classifier as text, so they must be UTF-8.
bool is_utf8(const std::string& text) {
  return json_string(text).has_value();
}

}  // namespace

Dataset::Dataset(std::vector<std::string> class_names, std::vector<std::int32_t> labels,
                 std::shared_ptr<const SampleSource> source, bool in_memory)
    : class_names_(std::move(class_names)),
      labels_(std::move(labels)),
      source_(std::move(source)),
      in_memory_(in_memory) {
  for (const std::string& name : class_names_)
    check(is_utf8(name), ExitCode::data, "class '{}': its name is not UTF-8; rename it", name);
  for (const std::int32_t label : labels_) {
    check(label >= 0 && label < classes(), ExitCode::data, "label {} is outside of the {} classes", label,
          classes());
  }
}

namespace {

namespace fs = std::filesystem;

// All images of a split, for any layout.
std::optional<Dataset> open_split(const fs::path& path, Split split, const DecodeLimits& limits) {
  std::error_code ignored;
  const detail::OpenRequest request{path, split, limits};
  check(fs::exists(path, ignored), ExitCode::data, "{}: no such folder; give the folder that holds train/",
        path.string());
  if (const auto packs = detail::find_packs(path); !packs.empty()) return detail::open_packs(request, packs);
  check(fs::is_directory(path, ignored), ExitCode::data,
        "{}: not a folder and not a pack; give the folder that holds train/, or a file that pack_dataset made",
        path.string());
  if (detail::has_shards(path)) return detail::open_web_dataset(request);
  if (fs::is_directory(path / "train", ignored))
    return detail::open_class_folders(request, detail::label_folders_of(path));
  if (const auto images = detail::find_kaggle_imagenet(path))
    return detail::open_class_folders({*images, split, limits}, {path});
  if (const auto cifar = detail::find_cifar_binary(path)) return detail::open_cifar_binary(request, *cifar);

  const bool empty = fs::directory_iterator(path, ignored) == fs::directory_iterator();
  fail(ExitCode::data,
       "{}: {}; expected {}/train/<class>/*.jpg (and val/<class>/*.jpg or test/<class>/*.jpg to evaluate), tar "
       "shards, a pack, or the binary files of CIFAR-10 or CIFAR-100",
       path.string(), empty ? "the folder is empty" : "there is no folder 'train' in it", path.string());
}

}  // namespace

std::optional<Dataset> open_dataset(const std::string& path, Split split, const DatasetOptions& options) {
  check(options.limit_per_class >= 0, ExitCode::usage,
        "images per class must be at least 1, or 0 for all; {} was given", options.limit_per_class);
  check(options.val_fraction >= 0 && options.val_fraction < 1, ExitCode::usage,
        "validation fraction {}: expected a share of the training images, above 0 and below 1",
        options.val_fraction);
  // Images are held out first and limited afterwards, so the two splits stay disjoint for any limits.
  std::optional<Dataset> set =
      open_split(path, options.val_fraction > 0 ? Split::train : split, options.limits);
  if (set && options.val_fraction > 0)
    set = held_out_split(*set, split, options.val_fraction, options.val_seed);
  if (set && options.limit_per_class > 0) set = first_of_each_class(*set, options.limit_per_class);
  return set;
}

}  // namespace kindred
