#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/apps/training/training_images.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <filesystem>
#include <system_error>

namespace kindred {
namespace {

// The images of DIR, or of its folder for training, if they lie in no class folders.
std::optional<Dataset> images_without_classes(const DataFlags& data) {
  std::error_code ignored;
  if (!data.labels.empty() || !std::filesystem::is_directory(data.path, ignored)) return std::nullopt;
  const DecodeLimits limits = data.options(Split::train).limits;
  if (auto images = open_unlabelled_images(data.path, limits)) return images;
  const SplitFolders folders = find_split_folders(data.path);
  return folders.train.empty() ? std::nullopt : open_unlabelled_images(folders.train.front().string(), limits);
}

void check_goes_without_classes(const PretrainOptions& o) {
  const std::string& dir = o.data.path;
  check(!o.online_probe, ExitCode::usage, "--online-probe: {} has no classes to tell apart; leave it out", dir);
  check(!o.data.val_fraction || *o.data.val_fraction == 0, ExitCode::usage,
        "--val-fraction {}: {} has no classes to evaluate on; leave it out", o.data.val_fraction.value_or(0),
        dir);
  check(o.data.named_split.empty(), ExitCode::usage,
        "--split {}: {} has no classes to evaluate on; leave it out", o.data.named_split, dir);
}

}  // namespace

Dataset open_training_images(const PretrainOptions& o) {
  std::optional<Dataset> train;
  try {
    train = o.data.open(Split::train);
  } catch (const Error& error) {
    if (error.code() != ExitCode::data) throw;
    train = images_without_classes(o.data);
    if (!train) throw;
    if (!loss_options(o).by_image())
      throw Error(error.code(), fmt::format("{}; --loss simclr trains on images without classes", error.what()),
                  error.cause());
    check_goes_without_classes(o);
    train->add_note(fmt::format("note: {} has no class folders: its {} images are the training set",
                                train->origin().folder, train->size()));
    if (o.data.limit_per_class > 0) train = first_of_each_class(*train, o.data.limit_per_class);
  }
  print_notes(*train);
  return *train;
}

std::optional<Dataset> open_evaluation_images(const PretrainOptions& o, const Dataset& train) {
  if (!train.origin().has_classes()) {
    fmt::print("no classes in {}: no nearest-neighbour figure, and nothing to evaluate on\n", o.data.path);
    return std::nullopt;
  }
  std::optional<Dataset> evaluation = o.data.open(Split::evaluation);
  if (!evaluation) {
    fmt::print("no val or test images that can be used in {}: no nearest-neighbour figure; {}\n", o.data.path,
               o.data.evaluation_advice());
    return std::nullopt;
  }
  print_notes(*evaluation, &train);
  print_evaluated_on(*evaluation, evaluation->size());
  return evaluation;
}

}  // namespace kindred
