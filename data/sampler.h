// The order in which an epoch shows the images of a data set: a function of the seed and the epoch alone, so a
// resumed run draws what the run would have drawn.
//
//   uniform            a shuffle: every image once
//   inverse_frequency  every class equally often, however many images it has; the epoch stays as long. An image
//                      of a rare class comes several times, each time in other views, and of a frequent class
//                      every epoch shows another part
//   per_class = M > 1  groups of M different images of one class; a batch is made of whole groups, so each class
//                      that is drawn comes with at least M images and every anchor has positives. Under uniform
//                      every image is shown; up to M - 1 of a class twice, to fill its last group. A class with
//                      less than M images fills its group by repeating them
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

enum class Sampling { uniform, inverse_frequency };

const char* name(Sampling sampling);                 // "uniform", "inverse-frequency"
Sampling parse_sampling(const std::string& name);  // Error(usage) lists the names

struct SamplerOptions {
  bool shuffle = true;  // false: in the order of the data set; needs uniform and per_class 1
  Sampling sampling = Sampling::uniform;
  std::int64_t per_class = 1;  // divides batch_size
  std::int64_t batch_size = 1;
  std::uint64_t seed = 0;
};

// One place in an epoch.
struct Draw {
  std::uint32_t sample = 0;  // in the data set
  std::uint32_t repeat = 0;  // how often it came before in this epoch: it must not get the same views again
};

class Sampler {
 public:
  // labels: one per sample, in [0, classes); at least one. Error(usage) when an option does not fit.
  Sampler(const std::vector<std::int32_t>& labels, int classes, const SamplerOptions& options);

  std::int64_t epoch_size() const { return epoch_size_; }  // draws, a multiple of per_class
  void draw(std::uint32_t epoch, std::vector<Draw>& order /*[epoch_size()]*/) const;

 private:
  bool is_plain() const { return options_.sampling == Sampling::uniform && options_.per_class == 1; }
  void draw_shuffle(std::uint32_t epoch, std::vector<Draw>& order) const;
  void draw_groups(std::uint32_t epoch, std::vector<Draw>& order) const;
  std::vector<std::int64_t> groups_of_classes(std::uint32_t epoch) const;  // [members_.size()]

  SamplerOptions options_;
  std::vector<std::vector<std::uint32_t>> members_;  // the samples of each class that has any, ascending
  std::int64_t epoch_size_ = 0;
};

// What an anchor meets in its batch, on average over the full batches of the first epoch. A batch of B images in V
// views has V B anchors; the positives of one are the other rows of its class.
struct PositiveStatistics {
  double mean = 0;            // positives of an anchor
  double alone = 0;           // share of anchors whose class has no other image in the batch
  double without = 0;         // share of anchors without a single positive: those alone, if views is 1
};

PositiveStatistics expected_positives(const Sampler& sampler, const std::vector<std::int32_t>& labels,
                                      std::int64_t batch_size, int views);

}  // namespace kindred
