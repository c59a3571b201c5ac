// Steps of stage one on the device `plan`: everything that a step of a run calls, without bytes.
#pragma once

#include <kindred/apps/common/learner.h>
#include <kindred/engine/memory.h>

#include <vector>

namespace kindred {

class PlannedSteps {
 public:
  // Of training on `device`; the classes are those of a classifier, where the loss trains one.
  PlannedSteps(const PretrainOptions& options, Device device, int classes);
  ~PlannedSteps();
  PlannedSteps(const PlannedSteps&) = delete;
  PlannedSteps& operator=(const PlannedSteps&) = delete;

  Learner& learner() { return *learner_; }
  MemoryPool& pool() { return *scope_.pool(); }

  // Memory for a batch, its images and labels; once, before what follows.
  void take_batch();
  std::size_t batch_bytes() const;
  // With pictures that stay on a GPU ([n, h, w, 3], or undefined), views are made of them.
  StepInputs inputs(const Tensor& pictures = {}) const;

 private:
  const PretrainOptions o_;
  const PoolScope scope_;
  std::unique_ptr<Learner> learner_;
  std::vector<Tensor> bytes_;  // u8 [count*batch, size, size, 3] for each size of views
  Tensor labels_;              // i32 [2, views*batch]
};

}  // namespace kindred
