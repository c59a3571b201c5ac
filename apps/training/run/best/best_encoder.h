// RUN/best_encoder.safetensors of a run that is resumed.
//
// The encoder of a best checkpoint is written before the checkpoint, and best.txt after it. A process that is killed
// in between leaves an encoder without its checkpoint, or a checkpoint that is not yet known as the best one. A run of
// an earlier version has no such encoder.
#pragma once

#include <kindred/apps/training/run/checkpoint.h>

#include <filesystem>

namespace kindred {

// Makes best.txt name the best checkpoint of the run that continues at `newest`, and best_encoder.safetensors its
// encoder. A damaged encoder file counts as missing. Without such a checkpoint both stay. A failure is a warning on the terminal, because it ends no run.
void put_best_encoder_right(const std::filesystem::path& run, const RunState& newest);

}  // namespace kindred
