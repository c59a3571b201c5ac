#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/classifier/classifier_result.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <filesystem>

namespace kindred {
namespace {

// Whether the file says this already, so that a finished run needs no space on the disk.
bool is_said_in(const std::filesystem::path& file, const nlohmann::json& value) {
  try {
    return read_json(file) == value;
  } catch (const Error&) {  // it is missing or damaged
    return false;
  }
}

}  // namespace

void write_classifier_result(const PretrainOptions& o, const Scores& scores, std::int64_t epochs_done,
                             const Dataset& train, const Dataset& evaluation) {
  if (scores.images() == 0) {
    fmt::print(
        "warning: not one evaluation image could be read, so the accuracy of the classifier is not known\n");
    return;
  }
  const std::filesystem::path out = o.out;
  const nlohmann::json settings = {{"epochs", o.epochs},
                                   {"batch_size", o.batch_size},
                                   {"lr", o.lr},
                                   {"momentum", o.momentum},
                                   {"weight_decay", o.weight_decay},
                                   {"label_smoothing", o.loss_flags.label_smoothing},
                                   {"seed", o.seed}};
  const nlohmann::json result = {{"top1", scores.top1()},
                                 {"top5", scores.top5()},
                                 {"images", scores.images()},
                                 {"evaluated_on", evaluated_on(evaluation, scores.images())},
                                 {"classes", train.classes()},
                                 {"train_images", train.size()},
                                 {"model", o.model},
                                 {"encoder", (out / encoder_name).string()},
                                 {"augment", o.augment},
                                 {"image_size", o.image_size},
                                 {"resize", name_of(resize_names, o.resize)},
                                 {"exif", name_of(exif_names, o.exif)},
                                 {"epochs_done", epochs_done},
                                 {"settings", settings}};
  if (!is_said_in(out / classifier_result_name, result))
    write_json(out / classifier_result_name, result, system_files_without_links());
  fmt::print("classifier of {}: top-1 {:.4f}, top-5 {:.4f} on {} of {}\n", o.model, scores.top1(),
             scores.top5(), counted(scores.images(), "image"), counted(train.classes(), "class"));
}

void remove_classifier_result(const std::filesystem::path& run) {
  const nlohmann::json settings = settings_of_run(run);
  if (settings.is_object() && settings.contains("loss") && settings["loss"] == "cross_entropy")
    remove_own(run / classifier_result_name);
}

}  // namespace kindred
