// What `pretrain` trains on a CPU if nothing says which model and size: what the pictures allow, as far as it takes about
// an hour.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct ModelAndSize {
  std::string model;
  std::int64_t image_size = 0;  // side of a view in pixels
  bool operator==(const ModelAndSize&) const = default;
};

// All that can be chosen, from the smallest to the largest.
const std::vector<ModelAndSize>& models_for_cpu();

// The numbers of epochs that can be chosen, from the usual one down.
const std::vector<std::int64_t>& epochs_for_cpu();

// What the choice depends on.
struct CpuWork {
  std::int64_t short_side = 0;           // of the pictures, in pixels; 0: not known
  std::int64_t images = 0;               // for training
  std::int64_t views = 2;                // of each image
  int threads = 1;                       // that compute
  std::optional<std::int64_t> epochs{};  // if they are given
};

struct CpuDefault {
  ModelAndSize model;
  std::int64_t epochs = 0;
  double seconds = 0;  // that they take, about
};

// The largest model and size that the pictures allow and that can train the usual number of epochs in about an hour. If not
// even the smallest can, the smallest, and the largest number of epochs that it can; 1 if there is none. Given epochs stay.
CpuDefault default_on_cpu(const CpuWork& work);

}  // namespace kindred
