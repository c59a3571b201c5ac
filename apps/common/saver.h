// When a run is saved, and what happens when the disk refuses.
//
// Without --checkpoint-every: at the end of an epoch, and every ten minutes, as long as saving takes less than
// a hundredth of the time. A failed save is told and tried again a minute later; training goes on meanwhile,
// and what was saved before stays whole.
#pragma once

#include <kindred/apps/common/checkpoint_writer.h>
#include <kindred/apps/common/pretrain_options.h>

namespace kindred {

// Where nothing else is asked for.
inline constexpr double most_seconds_between_saves = 600;

class Saver {
 public:
  using Capture = std::function<Checkpoint()>;

  // `steps_done`: where the run stands.
  Saver(const PretrainOptions& options, std::int64_t steps_done, Capture capture);

  void after_step(std::int64_t steps_done);
  void after_epoch(bool is_best);
  // Saves and waits until it is done. Error(io) when the disk refuses it several times.
  void save_for_sure();

 private:
  void save(bool is_best);
  void report_failure();

  const CheckpointInterval every_;
  const Capture capture_;
  CheckpointWriter writer_;
  std::int64_t steps_seen_;
  double last_save_;
  bool failed_ = false;
};

}  // namespace kindred
