#include <kindred/data/dataset_sources.h>
#include <kindred/data/decode_formats.h>
#include <kindred/engine/error.h>

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

Dataset::Dataset(std::vector<std::string> class_names, std::vector<std::int32_t> labels,
                 std::shared_ptr<const SampleSource> source, bool in_memory)
    : class_names_(std::move(class_names)),
      labels_(std::move(labels)),
      source_(std::move(source)),
      in_memory_(in_memory) {
  for (const std::int32_t label : labels_) {
    check(label >= 0 && label < classes(), ExitCode::data, "label {} is outside of the {} classes", label,
          classes());
  }
}

std::optional<Dataset> open_dataset(const std::string& dir, Split split, std::int64_t limit_per_class,
                                    const DecodeLimits& limits) {
  namespace fs = std::filesystem;
  check(limit_per_class >= 0, ExitCode::usage,
        "images per class must be at least 1, or 0 for all; {} was given", limit_per_class);
  std::error_code ignored;
  const fs::path path(dir);
  check(fs::exists(path, ignored), ExitCode::data, "{}: no such folder; give the folder that holds train/",
        dir);
  check(fs::is_directory(path, ignored), ExitCode::data, "{}: not a folder; give the folder that holds train/",
        dir);

  const detail::OpenRequest request{path, split, limit_per_class, limits};
  if (fs::is_directory(path / "train", ignored)) return detail::open_class_folders(request);
  if (const auto cifar = detail::find_cifar_binary(path)) return detail::open_cifar_binary(request, *cifar);

  const bool empty = fs::directory_iterator(path, ignored) == fs::directory_iterator();
  fail(ExitCode::data,
       "{}: {}; expected {}/train/<class>/*.jpg (and val/<class>/*.jpg or test/<class>/*.jpg to evaluate), or "
       "the "
       "binary files of CIFAR-10 or CIFAR-100",
       dir, empty ? "the folder is empty" : "there is no folder 'train' in it", dir);
}

}  // namespace kindred
