#include <kindred/data/images/decode_formats.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/layout.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/lists/label_rows.h>
#include <kindred/data/sets/lists/open_list.h>
#include <kindred/data/sets/shards/fetch_shards.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <algorithm>
#include <utility>

namespace kindred {

std::optional<Encoded> SampleSource::encoded(std::int64_t, std::vector<std::uint8_t>&) const {
  return std::nullopt;
}

std::optional<std::uint64_t> SampleSource::stored_bytes(std::int64_t) const {
  return std::nullopt;
}

std::string SampleSource::id(std::int64_t i) const {
  std::string id = name(i);
  id.erase(0, id.find_last_of('/') + 1);
  while (id.ends_with(')')) id.pop_back();  // "set.kpack, record 3 (train/a/b.jpg)"
  return id;
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

enum class Layout { given_shards, list, packs, shards, class_folders, kaggle, cifar, classes_alone, none };

Layout layout_of(const fs::path& path, const std::string& list) {
  if (!list.empty()) return Layout::list;
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
    case Layout::given_shards:
      return detail::open_given_shards(request);
    case Layout::list:
      return detail::open_list(request);
    case Layout::packs:
      return detail::open_packs(request, detail::find_packs(path));
    case Layout::shards:
      return detail::open_web_dataset(request);
    case Layout::class_folders:
      return detail::open_class_folders(request, detail::label_folders_of(path));
    case Layout::kaggle:
      return detail::open_class_folders({*detail::find_kaggle_imagenet(path), request.split, request.limits,
                                         request.holds_out, request.evaluate_on, request.list, request.shards},
                                        {path});
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

// Nothing says which images are for evaluation: class folders alone, or a list without a column for the split.
bool has_one_part(const fs::path& path, const std::string& list, Layout layout) {
  if (layout == Layout::list) return !detail::list_has_splits(path, list);
  return layout == Layout::classes_alone;
}

// The same, also of shards without others for evaluation.
bool has_one_part(const fs::path& path, const DatasetOptions& options, Layout layout) {
  if (layout == Layout::given_shards) return options.shards->evaluation.empty();
  return has_one_part(path, options.list, layout);
}

// folder_without_labels(), of a set with this layout.
fs::path unlabelled_part(const fs::path& path, Split part, Layout layout) {
  if (layout == Layout::class_folders)
    return detail::find_unlabelled_part(path, part, detail::label_folders_of(path));
  if (layout == Layout::kaggle)
    return detail::find_unlabelled_part(*detail::find_kaggle_imagenet(path), part, {path});
  return {};
}

// The parts for evaluation of a set with this layout hold no images, or images without labels or of other classes.
bool lacks_evaluation(const fs::path& path, Layout layout) {
  if (layout == Layout::class_folders)
    return detail::has_unusable_evaluation(path, detail::label_folders_of(path));
  return layout == Layout::kaggle &&
         detail::has_unusable_evaluation(*detail::find_kaggle_imagenet(path), {path});
}

// The part that is held out if the options do not say it.
double usual_val_fraction(const fs::path& path, const std::string& list, Layout layout) {
  return lacks_evaluation(path, layout) || has_one_part(path, list, layout) ? val_fraction_alone : 0;
}

// It may be a class, or hold no images.
bool has_folder_called_train(const fs::path& dir) {
  const std::vector<std::string> names = detail::list_folders(dir);
  return std::any_of(names.begin(), names.end(),
                     [](const std::string& name) { return split_role(name) == SplitRole::train; });
}

// "3 of 24 images, ... are held out ...": `held` of the images of `whole` are for evaluation.
std::string held_out_text(const Dataset& whole, std::int64_t held, double fraction, std::uint64_t seed) {
  return fmt::format(
      "{} of {} images, the same share of each class, are held out for evaluation "
      "(validation fraction {}, seed {})",
      held, whole.size(), fraction, seed);
}

// `held` of the images of `whole`, which has one part, are for evaluation.
std::string note_about_one_part(const std::string& path, const DatasetOptions& options, const Dataset& whole,
                                std::int64_t held, double fraction) {
  const std::string& list = options.list;
  const std::string text =
      options.shards ? fmt::format(
                           "note: {}: no shards for evaluation are given: the images of its {} classes are "
                           "the training set",
                           path, whole.classes())
      : list.empty() ? fmt::format("note: {} has no folder {}: its {} class folders are the training set", path,
                                   has_folder_called_train(path) ? "for training" : "'train'", whole.classes())
                     : fmt::format("note: {} has no column for the split: its {} classes are the training set",
                                   list, whole.classes());
  if (held == 0) return fmt::format("{}, and nothing is held out for evaluation", text);
  return fmt::format("{}, of which {}", text, held_out_text(whole, held, fraction, options.val_seed));
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

// Class folders and lists have notes of their own, which also name what is not used.
void note_tests(Dataset& evaluation, const std::string& path, const DatasetOptions& options, Layout layout) {
  const bool is_noted = layout == Layout::list || layout == Layout::class_folders || layout == Layout::kaggle;
  if (is_noted || options.evaluate_on != Split::evaluation || evaluation.origin().part != "test") return;
  evaluation.add_note(
      fmt::format("note: {}: evaluation is on test, because there is no validation split", path));
}

}  // namespace

double default_val_fraction(const std::string& path, const std::string& list) {
  return usual_val_fraction(path, list, layout_of(path, list));
}

double default_val_fraction_of_shards(bool with_evaluation) {
  return with_evaluation ? 0 : val_fraction_alone;
}

std::string place_of_evaluation(const std::string& path, const std::string& list) {
  switch (layout_of(path, list)) {
    case Layout::list:
      return fmt::format("say in a third column of {} which images are val", list);
    case Layout::packs:
      return "pack a set that has some";
    case Layout::shards:
      return find_split_folders(path).train.empty() ? "give it shards called *val*.tar, beside *train*.tar"
                                                    : "give it DIR/val/*.tar";
    case Layout::cifar:
      return detail::place_of_cifar_tests(*detail::find_cifar_binary(path));
    case Layout::given_shards:
    case Layout::class_folders:
    case Layout::kaggle:
    case Layout::classes_alone:
    case Layout::none:
      break;
  }
  return "give it DIR/val/<class>/*";
}

std::string folder_without_labels(const std::string& path, Split part) {
  return unlabelled_part(path, part, layout_of(path, {})).string();
}

bool is_set_with_parts(const std::string& path) {
  const Layout layout = layout_of(path, {});
  return layout != Layout::none && layout != Layout::classes_alone;
}

std::optional<Dataset> open_class_images(const std::string& dir, const DecodeLimits& limits) {
  std::error_code ignored;
  if (!fs::is_directory(dir, ignored) || is_set_with_parts(dir)) return std::nullopt;
  const std::vector<std::string> classes = detail::all_classes(dir);
  return classes.empty() ? std::nullopt : std::optional(detail::open_classes(dir, classes, limits));
}

std::optional<Dataset> open_dataset(const std::string& path, Split split, const DatasetOptions& options) {
  check(options.limit_per_class >= 0, ExitCode::usage,
        "images per class must be at least 1, or 0 for all; {} was given", options.limit_per_class);
  if (split == Split::val || split == Split::test) {  // the set is evaluated on the part that is asked for
    DatasetOptions named = options;
    named.evaluate_on = split;
    return open_dataset(path, Split::evaluation, named);
  }
  check(options.evaluate_on != Split::train, ExitCode::internal, "{}: evaluation on the training images", path);
  const double given = options.val_fraction.value_or(0);
  check(given >= 0 && given < 1, ExitCode::usage,
        "validation fraction {}: expected a share of the training images, above 0 and below 1", given);
  const Layout layout = options.shards ? Layout::given_shards : layout_of(path, options.list);
  const bool alone = has_one_part(path, options, layout);
  // A part without labels or images is left out, as if it were not there, and a share of train takes its place.
  const bool replaced =
      !options.val_fraction && options.evaluate_on == Split::evaluation && lacks_evaluation(path, layout);
  double fraction = options.val_fraction.value_or(alone || replaced ? val_fraction_alone : 0);
  const bool on_test = options.evaluate_on == Split::test;  // which are never held out of train
  if (alone && on_test && split == Split::evaluation) return std::nullopt;
  const bool from_train = split == Split::train || alone || (fraction > 0 && !on_test);
  const bool replaces_parts = fraction > 0 && !on_test && !replaced;
  // Images are held out first and limited afterwards, so the two splits stay disjoint for any limits.
  std::optional<Dataset> set = open_split({path, from_train ? Split::train : split, options.limits,
                                           replaces_parts, options.evaluate_on, options.list, options.shards},
                                          layout);
  if (set && set->origin().folder.empty()) set->set_origin({path, from_train ? "train" : "val"});
  if ((alone || replaced) && !options.val_fraction && !has_class_of_two(*set)) fraction = 0;
  if (fraction > 0 && from_train) {
    Dataset part = held_out_split(*set, split, fraction, options.val_seed);
    const std::int64_t held = split == Split::evaluation ? part.size() : set->size() - part.size();
    if (alone) part.add_note(note_about_one_part(path, options, *set, held, fraction));
    if (replaced)
      part.add_note(fmt::format("note: {}: {}", set->origin().folder,
                                held_out_text(*set, held, fraction, options.val_seed)));
    set = std::move(part);
  } else if (alone || replaced) {
    if (split == Split::evaluation) return std::nullopt;
    if (alone) {
      set->add_note(note_about_one_part(path, options, *set, 0, fraction));
      Origin origin = set->origin();
      origin.is_undivided = true;
      set->set_origin(std::move(origin));
    }
  }
  if (set && split == Split::evaluation && !from_train) note_tests(*set, path, options, layout);
  if (set && split == Split::evaluation) note_missing_classes(*set, path);
  if (set && options.limit_per_class > 0) set = first_of_each_class(*set, options.limit_per_class);
  return set;
}

}  // namespace kindred
