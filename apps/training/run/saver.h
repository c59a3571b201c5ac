// When a run is saved, and what happens if a write fails.
//
// Without --checkpoint-every a run is saved at the end of an epoch and every ten minutes, as long as saving
// takes less than a hundredth of the time. A failed save is reported and tried again a minute later. Training
// continues meanwhile, and earlier checkpoints stay intact.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint_writer.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// The default interval.
inline constexpr double most_seconds_between_saves = 600;

class Saver {
 public:
  using Capture = std::function<Checkpoint()>;

  // `steps_done` is the position of the run. A thread calls `saved` after each save, when its checkpoint is on
  // the disk. `class_names` are the classes of the set, for a classifier; `held_out` is what encoder and classifier say about
  // the images that they were trained on, and `trained_before` what the encoder says about those before it.
  Saver(const PretrainOptions& options, std::int64_t steps_done, Capture capture,
        std::function<void()> saved = {}, std::vector<std::string> class_names = {},
        const std::optional<HeldOutImages>& held_out = {},
        const std::vector<std::optional<HeldOutImages>>& trained_before = {});

  // To be called after a step: whether it is time to save.
  bool is_due(std::int64_t steps_done);
  void save();
  void after_step(std::int64_t steps_done) {
    if (is_due(steps_done)) save();
  }
  // To be called after an epoch: whether it is to be saved. The best one so far always is.
  bool saves_after_epoch(bool is_best) const;
  void after_epoch(bool is_best) {
    if (saves_after_epoch(is_best)) save();
  }
  // It was time to save, and nothing of use was there.
  void put_off();
  // Saves and waits until it is done. Throws Error(io) if writing fails repeatedly.
  void save_for_sure();

 private:
  void report_failure();

  const CheckpointInterval every_;
  const Capture capture_;
  CheckpointWriter writer_;
  std::int64_t steps_seen_;
  double last_save_;
  bool failed_ = false;
};

}  // namespace kindred
