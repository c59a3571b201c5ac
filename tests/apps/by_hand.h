// Stage one, written with the library alone. `pretrain` is compared with it byte for byte. Nothing from apps/
// is used here, so an error between a flag and the library cannot be in both.
#pragma once

#include "../engine/temporary_folder.h"

#include <kindred/data/loading/loader.h>
#include <kindred/engine/optimizer/optimizer.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/encoder_file.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred::by_hand {

constexpr std::int64_t batch = 6, size = 32, steps = 4;

// A set of 4 steps an epoch: 24 training images of 3 classes.
std::string draw_set(const TemporaryFolder& folder);

// Batches of `views` views, in the order of `seed`, from the first images of each class, or from all images
// (0).
Loader loader(const std::string& set, std::uint64_t seed, int views, const std::string& recipe_name = "cifar",
              std::int64_t limit_per_class = 0);

// The pixels of a batch as the network takes them, with CIFAR-10's statistics.
Tensor normalized(const Batch& drawn);

// `values`, once for each view.
template <typename T>
Tensor for_each_view(const std::vector<T>& values, int views) {
  std::vector<std::int32_t> all;
  for (int view = 0; view < views; ++view)
    for (const T value : values) all.push_back(static_cast<std::int32_t>(value));
  return Tensor::from(all, {static_cast<std::int64_t>(all.size())}, Device::cpu);
}

// The flags of `pretrain`: ResNet-20, the batch, one epoch, no nearest neighbours. Without `schedule_flags` the
// caller gives the learning rate.
inline const std::string flags =
    " --device cpu --model resnet20 --image-size 32 -b 6 -j 1 --epochs 1 --knn-every 0 ";
inline const std::string schedule_flags = "--lr 0.1 --warmup-epochs 0 ";

// The cosine from 0.1 to 0 in four steps: 0.1 times 1, 0.853..., 0.5, 0.146...
double learning_rate(std::int64_t step);

struct Plan {
  std::uint64_t seed = 0;
  int views = 2;
  HeadKind head = HeadKind::mlp;
  int classes = 0;  // of a classifier in place of the head; 0: none
  OptimizerOptions optimizer = SgdOptions{.momentum = 0.9, .weight_decay = 1e-4};
  std::function<double(std::int64_t step)> learning_rate = by_hand::learning_rate;
  // Of the model's output, [views*batch, 128] or logits.
  std::function<Tensor(const Tensor& output, const Batch& drawn)> loss;
};

// The bytes of encoder.safetensors after four steps of forward, loss, backward and update.
std::string encoder_after(const std::string& set, const Plan& plan);

// The bytes of the encoder file that Kindred writes for any model; trained_before as in EncoderInfo.
std::string encoder_bytes(const ParameterStore& store,
                          std::vector<std::optional<HeldOutImages>> trained_before = {});

// Runs `pretrain` with the flags above and these, and returns the bytes of its encoder.
std::string encoder_of_pretrain(const std::string& set, const std::string& more,
                                const std::string& schedule = schedule_flags);

}  // namespace kindred::by_hand
