// How a run takes over its folder: as a new run, as one that replaces another, or as one that is resumed.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/device.h>
#include <kindred/engine/parameters.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// What --resume and --overwrite ask for.
ExistingRun existing_run(const PretrainOptions& options);

// config.json of the run that --resume continues, or null. Throws Error(file) if it cannot be read.
nlohmann::json earlier_settings(const PretrainOptions& asked);

// `asked`, with nothing held out if the run with the settings `earlier` was begun so and no flag says otherwise: a set of
// which an earlier version trained on all images may by default hold some out. Throws Error(data).
PretrainOptions as_begun(const PretrainOptions& asked, const nlohmann::json& earlier);

// The options of a run, of which some depend on the training images; one that goes on, with the settings `earlier`, keeps
// its model and image size. `asked` are the options without these. Throws Error(usage), also if there are too few images
// for a batch. Of processes that train together the first one chooses for all.
PretrainOptions resolve_for(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                            const Dataset& train, const nlohmann::json& earlier);

// The content of config.json: the settings and what they are applied to.
nlohmann::json config_of_run(const PretrainOptions& options, const Dataset& train,
                             const std::optional<Dataset>& evaluation, const std::string& data_fingerprint);

// Whether the folder of a finished run has all files that its end writes, as it would write them: then there is nothing to
// do for a start that finds the run finished. `run` is what its newest checkpoint says.
bool has_all_files(const PretrainOptions& options, const RunState& run);

// The weights that a run begins with, if --weights gives them.
struct InitialWeights {
  std::vector<std::optional<HeldOutImages>> trained_before{};  // what the new encoder keeps (EncoderInfo)
  std::string checksum{};  // of their file, as it says itself; empty: it says none
};

// The key of that checksum in config.json. A replay from that file tells by it that the file of weights has changed.
inline constexpr const char* weights_checksum = "weights_xxh3";

// Sets the weights of --weights in place of the random initial ones, and prints which. Warns if their encoder has seen images
// of `evaluation`, and if the run of the file of --config began with other weights of that name. Throws Error(file).
InitialWeights load_initial_weights(const PretrainOptions& options, ParameterStore& store,
                                    const std::optional<Dataset>& evaluation);

class RunStart {
 public:
  // Both must outlive this object. Throws Error(file) if the run that is to be resumed has no settings, and
  // Error(usage) if a new run would replace a file that is not Kindred's.
  RunStart(const PretrainOptions& options, OutputFolder& folder);

  // The checkpoint that a run with these settings (config.json's) resumes from, or null if it starts anew.
  // Throws Error(usage) if the run in the folder has other settings and --allow-change was not given, or if it has an
  // encoder but no usable checkpoint.
  const Checkpoint* checkpoint(const nlohmann::json& config);

  // To be called when the run has started or has restored the checkpoint, so that only training can fail. A new
  // run takes the folder over, and one that goes on sets unusable checkpoints aside. The settings are written, with
  // `facts` (facts_of_start()); of a run that goes on if one of them has changed, also of those that may change freely.
  // Nothing is written for a run that was finished. Throws Error(io) and, as OutputFolder::take_over(), Error(usage).
  void done(const nlohmann::json& config, const nlohmann::json& facts);

 private:
  void write_config(const nlohmann::json& config, const nlohmann::json& facts) const;

  const PretrainOptions& options_;
  OutputFolder& folder_;
  CheckpointFolder checkpoints_;
  CheckpointFolder::Found found_;
  bool continues_ = false;  // the folder goes on, and config.json says what the run is
};

}  // namespace kindred
