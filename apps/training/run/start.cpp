#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/training/options/config_paths.h>
#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/apps/training/run/best/best_encoder.h>
#include <kindred/apps/training/run/classifier/classifier_result.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/apps/training/run/shared/other_processes.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/apps/training/run/weights_source.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/engine/files/safetensors_checksum.h>
#include <kindred/models/weights_file.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <exception>
#include <filesystem>
#include <system_error>
#include <vector>

namespace kindred {

namespace fs = std::filesystem;

namespace {

// A run that trains a classifier writes two files that may be there without a run: the user's, or those of a probe. Only
// --overwrite sets the latter aside.
void check_free_for_classifier(const PretrainOptions& options) {
  if (!loss_options(options).classifies()) return;
  const std::vector<fs::path> own =
      options.overwrite ? own_files(options.out, FolderOf::run) : std::vector<fs::path>();
  std::error_code ignored;
  for (const char* const name : {classifier_name, classifier_result_name})
    check(!fs::exists(fs::symlink_status(fs::path(options.out) / name, ignored)) ||
              std::find(own.begin(), own.end(), fs::path(name)) != own.end(),
          ExitCode::usage, "--out {}: its {} is not of a run of pretrain; give another folder", options.out,
          name);
}

// Whether training from the beginning would replace an encoder. That of a first save that ended before its checkpoint was
// there is of no worth: the job starts again by itself.
bool would_replace_encoder(const fs::path& run) {
  std::error_code ignored;
  return !fs::exists(run / first_save_name, ignored) &&
         (fs::exists(run / encoder_name, ignored) || fs::exists(run / best_encoder_name, ignored));
}

// What the file says about its encoder. Nobody knows what another program's weights were trained on.
std::optional<EncoderInfo> known_encoder(const fs::path& file) {
  try {
    const WeightsInfo info = weights_info_of(file);
    return info.assumed ? std::nullopt : std::optional(info.encoder);
  } catch (const Error&) {  // the flags say which model it is, and its tensors alone do not
    return std::nullopt;
  }
}

// What a file of weights says about its own bytes. Files of other programs say nothing.
std::string checksum_in(const fs::path& file) {
  try {
    const SafetensorsFile opened(file);
    const auto found = opened.metadata().find(safetensors_checksum_key);
    return found == opened.metadata().end() ? std::string() : found->second;
  } catch (const Error&) {  // it is in another format
    return {};
  }
}

// The settings in the file of --config; null if there is none, or none any more.
nlohmann::json settings_to_replay(const PretrainOptions& options) {
  if (options.config.empty()) return nlohmann::json();
  try {
    return read_json(place_of_settings(options.config));
  } catch (const Error&) {
    return nlohmann::json();
  }
}

// The same, if the weights that the file gives are those of `options`; otherwise null.
nlohmann::json settings_of_weights(const PretrainOptions& options) {
  try {
    nlohmann::json settings = settings_to_replay(options);
    const bool is_same =
        settings.is_object() &&
        is_same_place(settings.value("weights", ""), settings.value(started_in, ""), options.weights) &&
        settings.value("best", false) == options.best;
    return is_same ? settings : nlohmann::json();
  } catch (const std::exception&) {  // it is gone, or a value is of another kind
    return nlohmann::json();
  }
}

// A line that begins with "warning: " if the run of --config began with other weights of that name; otherwise empty.
std::string other_weights_warning(const PretrainOptions& options, const std::string& checksum) {
  const nlohmann::json settings = settings_of_weights(options);
  if (!settings.is_object() || !settings.contains(weights_checksum)) return {};
  if (settings[weights_checksum] == checksum) return {};
  return fmt::format(
      "warning: {} has changed since the run of {} began with it, so this run will not be the same; give the "
      "weights "
      "of then by --weights",
      options.weights, options.config);
}

}  // namespace

bool has_all_files(const PretrainOptions& options, const RunState& run) {
  const fs::path out = options.out;
  std::error_code ignored;
  const auto is_there = [&](const char* name) { return fs::exists(out / name, ignored); };
  if (!is_there("bad_images.tsv") || !has_json_lines(out / "metrics.jsonl", run.metrics)) return false;
  const bool has_best = run.best_step >= 0;
  if (has_best && !is_there(best_encoder_name)) return false;
  if (loss_options(options).classifies() &&
      !(is_there(classifier_name) && (!has_best || is_there(best_classifier_name))))
    return false;
  try {
    const fs::path newest = out / "checkpoint.safetensors";
    return read_run_state(newest).steps_done == run.steps_done && are_of_one_step(out / encoder_name, newest);
  } catch (const Error&) {
    return false;  // one of the two is missing or damaged
  }
}

ExistingRun existing_run(const PretrainOptions& options) {
  if (options.resume) return ExistingRun::resume;
  return options.overwrite ? ExistingRun::overwrite : ExistingRun::refuse;
}

nlohmann::json config_of_run(const PretrainOptions& options, const Dataset& train,
                             const std::optional<Dataset>& evaluation, const std::string& data_fingerprint) {
  nlohmann::json config = options.to_json();
  config["images"] = train.size();
  if (options.processes > 1) config["processes"] = options.processes;
  if (evaluation) config["evaluated_on"] = evaluated_on(*evaluation, evaluation->size());
  config["data_fingerprint"] = data_fingerprint;
  return config;
}

InitialWeights load_initial_weights(const PretrainOptions& options, ParameterStore& store,
                                    const std::optional<Dataset>& evaluation) {
  const auto file = weights_file("--weights", options.weights, options.best);
  fmt::print("{}\n", load_weights(file, store).to_string());
  InitialWeights weights{.checksum = checksum_in(file)};
  if (const std::string other = other_weights_warning(options, weights.checksum); !other.empty())
    fmt::print("{}\n", one_line(other));
  const std::optional<EncoderInfo> encoder = known_encoder(file);
  if (!encoder) return weights;
  const std::string warning =
      evaluation ? seen_images_warning(*encoder, *evaluation, "encoder of --weights") : std::string();
  if (!warning.empty()) fmt::print("{}\n", one_line(warning));
  weights.trained_before = trainings_up_to(*encoder);
  return weights;
}

nlohmann::json earlier_settings(const PretrainOptions& asked) {
  return asked.resume && holds_run(asked.out) ? settings_of_run(asked.out) : nlohmann::json();
}

PretrainOptions as_begun(const PretrainOptions& asked, const nlohmann::json& earlier) {
  PretrainOptions options = asked;
  if (!earlier.is_object() || asked.data.val_fraction || asked.data.held_out_fraction() == 0) return options;
  const auto share = earlier.find("val_fraction");
  if (share != earlier.end() && share->is_number() && share->get<double>() == 0) options.data.val_fraction = 0;
  return options;
}

PretrainOptions resolve_for(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                            const Dataset& train, const nlohmann::json& earlier) {
  GivenOptions chosen =
      options_of_first(world(), [&] { return choose_defaults(flags, asked, device, train, earlier); });
  chosen.precision =
      name(asked.precision);  // of each process's own device: if they differ, the run must not start
  const PretrainOptions options = as_begun(flags.resolve(chosen), earlier);
  check_training_set(options, train);
  return options;
}

RunStart::RunStart(const PretrainOptions& options, OutputFolder& folder)
    : options_(options),
      folder_(folder),
      checkpoints_(options.out, static_cast<int>(options.keep_checkpoints)) {
  continues_ = folder_.goes_on() && fs::exists(fs::path(options.out) / "config.json");
  check(!folder_.goes_on() || continues_ || checkpoints_.candidates().empty(), ExitCode::file,
        "--resume: {} has checkpoints but no config.json with their settings; restore that file, or give "
        "--overwrite to start from the beginning",
        options.out);
  if (!folder_.goes_on()) check_free_for_classifier(options);
  if (options.resume_names_run && !folder_.goes_on())
    fmt::print("{} holds no run yet; a new one begins there\n", options.out);
}

const Checkpoint* RunStart::checkpoint(const nlohmann::json& config) {
  if (!continues_) return nullptr;
  const std::vector<std::string> changes = changed_settings(options_.out, config);
  check(changes.empty() || options_.allow_change, ExitCode::usage,
        "--resume: the run in {} was started with other settings: {}; give the same flags and data, another "
        "--out, or --allow-change{}",
        options_.out, fmt::join(changes, "; "),
        options_.resume_names_run
            ? ""
            : fmt::format("; DIR --resume={} takes what is not typed from the run", options_.out));
  for (const std::string& change : changes) fmt::print("changed: {}\n", change);
  found_ = checkpoints_.newest_valid();
  for (const std::string& reason : found_.reasons) fmt::print("warning: skipped: {}\n", reason);
  check(found_.newest || !would_replace_encoder(options_.out), ExitCode::usage,
        "--resume: {} has no usable checkpoint, and its encoder is kept; --overwrite begins anew (it sets the "
        "encoder aside until the first save), or give another --out",
        options_.out);
  if (!found_.newest)
    fmt::print("no usable checkpoint in {}: the run starts from the beginning\n", options_.out);
  return found_.newest ? &*found_.newest : nullptr;
}

void RunStart::done(const nlohmann::json& config, const nlohmann::json& facts) {
  // Files that are added to, or whose lines are kept. All others are replaced as a whole, and so are links of their names.
  if (continues_)
    for (const char* const name : {"metrics.jsonl", "bad_images.tsv", "plans.json"})
      put_file_for_link(fs::path(options_.out) / name);
  bool is_finished = false;
  std::string other_processes;
  if (found_.newest) {
    const RunState at = found_.newest->run();
    found_.newest.reset();  // frees it, because it is as large as the model
    fmt::print("continuing from {}: step {}, epoch {}, batch {}\n", found_.path.string(), at.steps_done,
               at.epochs_done + 1, at.batches_done + 1);
    is_finished = at.is_finished(options_.epochs, options_.early_stop);
    if (!is_finished) other_processes = going_on_with_others(options_, settings_of_run(options_.out));
    put_best_encoder_right(options_.out,
                           at);  // before config.json changes, which may say what an old checkpoint is
  } else {
    other_processes = replay_with_others(options_, settings_to_replay(options_));
  }
  fmt::print("{}", other_processes);
  // Before config.json changes, which says whose the result is.
  if (continues_ && !is_finished) remove_classifier_result(options_.out);
  if (continues_) checkpoints_.set_aside(found_);
  if (!folder_.goes_on()) folder_.take_over();
  const bool is_said = continues_ && !says_other_settings(settings_of_run(options_.out), config, facts);
  if (!is_said && (!continues_ || !is_finished)) write_config(config, facts);
}

// A run that goes on was started when its first process was.
void RunStart::write_config(const nlohmann::json& config, const nlohmann::json& facts) const {
  const std::string started = "started";
  const fs::path file = fs::path(options_.out) / "config.json";
  nlohmann::json written = config;
  written[device_asked] = config.at("device");
  written.update(facts);
  if (continues_) {
    const nlohmann::json before = settings_of_run(options_.out);
    written.erase(started);  // a run of an earlier version does not say it
    if (before.is_object() && before.contains(started)) written[started] = before[started];
    const bool keeps_weights = before.is_object() && before.contains(weights_checksum) &&
                               !options_.weights.empty() && !facts.contains(weights_checksum);
    if (keeps_weights) written[weights_checksum] = before[weights_checksum];
  }
  write_json(file, written, system_files_without_links());
}

}  // namespace kindred
