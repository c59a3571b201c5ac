// Steps of stage one on the device `plan`: everything that a real step calls, but without memory. Of several processes
// (PretrainOptions::processes) they are those of one, and the others need not be there.
#pragma once

#include <kindred/apps/training/learner.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/memory.h>

#include <vector>

namespace kindred {

// While it exists, world() is this thread's process of so many, of which the others need not be there: for what is planned
// and never sent.
class PlannedProcesses {
 public:
  explicit PlannedProcesses(std::int64_t count);

 private:
  const Communicator processes_;
  const WorldScope world_;
};

class PlannedSteps {
 public:
  // Of training on `device`. `classes` is used if the loss trains a classifier.
  PlannedSteps(const PretrainOptions& options, Device device, int classes);
  ~PlannedSteps();
  PlannedSteps(const PlannedSteps&) = delete;
  PlannedSteps& operator=(const PlannedSteps&) = delete;

  Learner& learner() { return *learner_; }
  MemoryPool& pool() { return *scope_.pool(); }

  // Allocates a batch, its images and labels. To be called once, before the functions below.
  void take_batch();
  std::size_t batch_bytes() const;
  // If pictures stay on a GPU ([n, h, w, 3], otherwise undefined), views are made from them.
  StepInputs inputs(const Tensor& pictures = {}) const;

 private:
  const PretrainOptions o_;
  const PlannedProcesses processes_;
  const PoolScope scope_;
  std::unique_ptr<Learner> learner_;
  // Of one process's batch:
  std::vector<Tensor> bytes_;  // u8 [count*batch, size, size, 3] for each size of views
  Tensor labels_;              // i32 [2, views*batch]
};

}  // namespace kindred
