#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/best/best_encoder.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/weights_source.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/classifier_file.h>

#include <fmt/core.h>

#include <optional>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A checkpoint that says itself that it is the best one, or is of an earlier version, which says nothing.
bool can_be_best(const fs::path& checkpoint, bool is_first_time) {
  return is_first_time || read_run_state(checkpoint).is_at_best();
}

// Whether the file is an encoder with all of its bytes as they were written. One that is not is of no use to anybody.
bool is_whole(const fs::path& encoder) {
  try {
    const SafetensorsFile file(encoder);
    static_cast<void>(read_weights_info(encoder));  // throws if it is no encoder
    return !file.has_checksum() || file.checksum_matches();
  } catch (const Error&) {
    return false;
  }
}

// Writes the encoder of a checkpoint, and before it its classifier if the run trains one: as long as the encoder is
// another one, the next start does all of this again.
void write_best_files(const fs::path& run, const fs::path& checkpoint) {
  WeightsSource source;
  source.encoder = checkpoint;
  LoadOptions options;
  const bool classifies = SafetensorsFile(checkpoint).find("fc.weight") != nullptr;
  if (classifies) options.classifier = checkpoint.string();
  const auto model = load_model(source, options);
  check(!model->info.assumed, ExitCode::file, "{} does not say how its images are prepared",
        checkpoint.string());
  std::error_code ignored;
  if (classifies && fs::exists(run / classifier_name, ignored)) {
    // A checkpoint has no names of classes.
    const Classifier named = load_classifier(run / classifier_name, model->encoder->feature_dim);
    save_classifier(run / best_classifier_name,
                    trained_classifier(model->store, named.class_names, model->info.encoder.held_out),
                    system_files_without_links());
  }
  save_encoder(run / best_encoder_name, model->store, model->info.encoder, model->info.batches_tracked,
               system_files_without_links());
}

}  // namespace

void put_best_encoder_right(const fs::path& run, const RunState& newest) {
  const fs::path encoder = run / best_encoder_name;
  const bool is_first_time = !is_whole(encoder);  // or the file is missing
  try {
    const std::optional<fs::path> best =
        newest.best_step >= 0 ? CheckpointFolder(run, 1).make_best(newest.best_step) : best_checkpoint(run);
    if (!best || !can_be_best(*best, is_first_time)) return;
    if (is_first_time || !are_of_one_step(encoder, *best)) write_best_files(run, *best);
  } catch (const Error& error) {
    fmt::print("warning: {} was not brought up to date: {}\n", encoder.string(), error.what());
  }
}

}  // namespace kindred
