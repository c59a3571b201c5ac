// The options of the smallest run, for tests that make a Learner or predict one without the command line.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

namespace kindred {

// ResNet-20 with two views of `batch` images of `size` pixels, under SGD. Without momentum and a learning rate.
inline PretrainOptions small_options(int size, std::int64_t batch) {
  PretrainOptions o;
  o.model = "resnet20";
  o.stem = Stem::cifar;
  o.head = HeadKind::mlp;
  o.optimizer = OptimizerKind::sgd;
  o.pixels = "cifar10";
  o.image_size = size;
  o.batch_size = batch;
  o.views = 2;
  o.temperature = 0.1;
  o.view_groups = {{recipe("none"), size, 2}};
  return o;
}

}  // namespace kindred
