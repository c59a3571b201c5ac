#include <kindred/data/images/decode_formats.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
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

constexpr double val_fraction_alone = 0.1;

enum class Layout { packs, shards, class_folders, kaggle, cifar, classes_alone, none };

Layout layout_of(const fs::path& path) {
  std::error_code ignored;
  if (!detail::find_packs(path).empty()) return Layout::packs;
  if (!fs::is_directory(path, ignored)) return Layout::none;
  if (detail::has_shards(path)) return Layout::shards;
  if (!find_split_folders(path).train.empty()) return Layout::class_folders;
  if (detail::find_kaggle_imagenet(path)) return Layout::kaggle;
  if (detail::find_cifar_binary(path)) return Layout::cifar;
  return detail::classes_alone(path).empty() ? Layout::none : Layout::classes_alone;
}

// All images of a split. `layout` is that of request.dir.
std::optional<Dataset> open_split(const detail::OpenRequest& request, Layout layout) {
  const fs::path& path = request.dir;
  switch (layout) {
    case Layout::packs:
      return detail::open_packs(request, detail::find_packs(path));
    case Layout::shards:
      return detail::open_web_dataset(request);
    case Layout::class_folders:
      return detail::open_class_folders(request, detail::label_folders_of(path));
    case Layout::kaggle:
      return detail::open_class_folders(
          {*detail::find_kaggle_imagenet(path), request.split, request.limits, request.holds_out}, {path});
    case Layout::cifar:
      return detail::open_cifar_binary(request, *detail::find_cifar_binary(path));
    case Layout::classes_alone:
      return detail::open_classes_alone(request);
    case Layout::none:
      break;
  }
  std::error_code ignored;
  check(fs::exists(path, ignored), ExitCode::data, "{}: no such folder; give the folder that holds train/",
        path.string());
  check(fs::is_directory(path, ignored), ExitCode::data,
        "{}: not a folder and not a pack; give the folder that holds train/, or a file that pack_dataset made",
        path.string());
  detail::fail_no_set(path);
}

bool has_class_of_two(const Dataset& set) {
  std::vector<std::int64_t> images(static_cast<std::size_t>(set.classes()));
  for (const std::int32_t label : set.labels())
    if (++images[static_cast<std::size_t>(label)] >= 2) return true;
  return false;
}

// `held` of the images of `whole`, which are class folders alone, are for evaluation.
std::string note_about_classes_alone(const std::string& path, const Dataset& whole, std::int64_t held,
                                     double fraction, std::uint64_t seed) {
  const std::string text = fmt::format(
      "note: {} has no folder 'train': its {} class folders are the training set", path, whole.classes());
  if (held == 0) return fmt::format("{}, and nothing is held out for evaluation", text);
  return fmt::format(
      "{}, of which {} of {} images, the same share of each class, are held out for evaluation "
      "(validation fraction {}, seed {})",
      text, held, whole.size(), fraction, seed);
}

// A class without images to evaluate on is no error, but the figures are not about it.
void note_missing_classes(Dataset& evaluation, const std::string& path) {
  std::vector<char> has_images(static_cast<std::size_t>(evaluation.classes()));
  for (const std::int32_t label : evaluation.labels()) has_images[static_cast<std::size_t>(label)] = 1;
  std::vector<std::string> missing;
  for (std::size_t c = 0; c < has_images.size(); ++c)
    if (!has_images[c]) missing.push_back(evaluation.class_names()[c]);
  if (missing.empty()) return;
  const std::size_t left = has_images.size() - missing.size();
  evaluation.add_note(
      fmt::format("warning: {}: nothing to evaluate {} of the {} classes on: {}; accuracies are those of the "
                  "other {}, and say nothing about {}",
                  path, missing.size(), has_images.size(), detail::quoted_names(missing), left,
                  missing.size() == 1 ? "this class" : "these classes"));
}

}  // namespace

double default_val_fraction(const std::string& path) {
  return layout_of(path) == Layout::classes_alone ? val_fraction_alone : 0;
}

std::optional<Dataset> open_dataset(const std::string& path, Split split, const DatasetOptions& options) {
  check(options.limit_per_class >= 0, ExitCode::usage,
        "images per class must be at least 1, or 0 for all; {} was given", options.limit_per_class);
  const double given = options.val_fraction.value_or(0);
  check(given >= 0 && given < 1, ExitCode::usage,
        "validation fraction {}: expected a share of the training images, above 0 and below 1", given);
  const Layout layout = layout_of(path);
  const bool alone = layout == Layout::classes_alone;
  double fraction = options.val_fraction.value_or(alone ? val_fraction_alone : 0);
  // Images are held out first and limited afterwards, so the two splits stay disjoint for any limits.
  std::optional<Dataset> set =
      open_split({path, fraction > 0 || alone ? Split::train : split, options.limits, fraction > 0}, layout);
  if (alone && !options.val_fraction && !has_class_of_two(*set)) fraction = 0;
  if (fraction > 0) {
    Dataset part = held_out_split(*set, split, fraction, options.val_seed);
    const std::int64_t held = split == Split::evaluation ? part.size() : set->size() - part.size();
    if (alone) part.add_note(note_about_classes_alone(path, *set, held, fraction, options.val_seed));
    set = std::move(part);
  } else if (alone) {
    if (split == Split::evaluation) return std::nullopt;
    set->add_note(note_about_classes_alone(path, *set, 0, fraction, options.val_seed));
  }
  if (set && split == Split::evaluation) note_missing_classes(*set, path);
  if (set && options.limit_per_class > 0) set = first_of_each_class(*set, options.limit_per_class);
  return set;
}

}  // namespace kindred
