// The order in which an epoch shows the images of a data set. It depends only on the seed and the epoch, so a
// resumed run draws what the original run would have drawn.
//
//   uniform            A shuffle: every image once.
//   inverse_frequency  Every class equally often, however many images it has. The epoch keeps its length. An
//                      image of a rare class occurs several times, each time in other views. Each epoch shows a
//                      different part of a frequent class.
//   per_class = M > 1  Groups of M different images of one class. A batch consists of whole groups, so each
//                      class in it has at least M images, and every anchor has positives. With uniform sampling
//                      every image is shown, and up to M - 1 images of a class are shown twice, to fill its
//                      last group. A class with fewer than M images repeats them to fill its group.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

enum class Sampling { uniform, inverse_frequency };

const char* name(Sampling sampling);               // "uniform", "inverse-frequency"
Sampling parse_sampling(const std::string& name);  // throws Error(usage), which lists the names

struct SamplerOptions {
  bool shuffle = true;  // false: in data set order; needs uniform sampling and per_class 1
  Sampling sampling = Sampling::uniform;
  std::int64_t per_class = 1;  // must divide batch_size
  std::int64_t batch_size = 1;
  std::uint64_t seed = 0;
};

// One position in an epoch.
struct Draw {
  std::uint32_t sample = 0;  // index in the data set
  std::uint32_t repeat = 0;  // how often it came before in this epoch, because its views must differ each time
};

class Sampler {
 public:
  // labels: one per sample, in [0, classes); at least one. Throws Error(usage) if an option does not fit.
  Sampler(const std::vector<std::int32_t>& labels, int classes, const SamplerOptions& options);

  std::int64_t epoch_size() const { return epoch_size_; }  // number of draws, a multiple of per_class
  void draw(std::uint32_t epoch, std::vector<Draw>& order /*[epoch_size()]*/) const;

 private:
  bool is_plain() const { return options_.sampling == Sampling::uniform && options_.per_class == 1; }
  void draw_shuffle(std::uint32_t epoch, std::vector<Draw>& order) const;
  void draw_groups(std::uint32_t epoch, std::vector<Draw>& order) const;
  std::vector<std::int64_t> groups_of_classes(std::uint32_t epoch) const;  // [members_.size()]

  SamplerOptions options_;
  std::vector<std::vector<std::uint32_t>> members_;  // the samples of each non-empty class, ascending
  std::int64_t epoch_size_ = 0;
};

// What an anchor finds in its batch, averaged over the full batches of the first epoch. A batch of B images in
// V views has V B anchors. The positives of an anchor are the other rows of its class.
struct PositiveStatistics {
  double mean = 0;     // positives per anchor
  double alone = 0;    // share of anchors whose class has no other image in the batch
  double without = 0;  // share of anchors without any positive: equal to `alone` if views is 1
};

PositiveStatistics expected_positives(const Sampler& sampler, const std::vector<std::int32_t>& labels,
                                      std::int64_t batch_size, int views);

}  // namespace kindred
