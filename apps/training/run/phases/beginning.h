// How a run begins: anew or from a checkpoint, and in all processes at the same place.
#pragma once

#include <kindred/apps/training/run/phases/run_parts.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>
#include <vector>

namespace kindred {

// How it began. Only the first process knows, because it alone reads the files.
struct Beginning {
  bool continues = false;  // from a checkpoint
  // What the encoder that the run began with was trained on (EncoderInfo).
  std::vector<std::optional<HeldOutImages>> trained_before{};
  std::string weights_checksum{};  // of the file that --weights gave a new run (InitialWeights)
};

// The first process takes the folder over, and reads the checkpoint or the file of --weights; then the others take over its
// weights and its position. `facts` are those of the start, for config.json. All processes must make this call. Throws
// Error(usage) if they have different settings or images, and what RunStart throws.
Beginning begin_run(const RunParts& run, const nlohmann::json& facts);

}  // namespace kindred
