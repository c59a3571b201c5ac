// Class probabilities from features, and how good they are.
#pragma once

#include <kindred/data/dataset.h>
#include <kindred/engine/tensor.h>
#include <kindred/models/classifier_file.h>

#include <cstdint>
#include <vector>

namespace kindred {

// softmax(features W^T + b), features [n, dim] on any device -> [n * classes] on the host, computed in f64.
std::vector<double> class_probabilities(const Classifier& classifier, const Tensor& features);

// For each class of the set its place in the classifier, by name; by number where the classifier's file names
// no classes ("0", "1", ...). Error(data) for a class that the classifier does not know.
std::vector<std::int32_t> match_classes(const Classifier& classifier,
                                        const std::vector<std::string>& class_names);

// What adds up over the images of a set.
class Scores {
 public:
  explicit Scores(std::int64_t classes);

  // One image: its probabilities [classes], and which class it is of.
  void add(const double* probabilities, std::int32_t label);

  std::int64_t images() const { return images_; }
  double top1() const;  // shares, in [0, 1]; of equal probabilities the right class counts as the last
  double top5() const;
  double negative_log_likelihood() const;  // nats, mean
  // Expected calibration error (Guo et al. 2017, arXiv 1706.04599): the mean distance between confidence and
  // accuracy over 15 bins of equal width, weighted by their images.
  double calibration_error() const;
  // [true class][predicted class]: images
  std::int64_t confused(std::int64_t truth, std::int64_t predicted) const;
  std::int64_t images_of(std::int64_t truth) const;

 private:
  static constexpr int bins = 15;

  std::int64_t classes_, images_ = 0, best_ = 0, among_five_ = 0;
  double log_likelihood_ = 0;
  std::vector<std::int64_t> confusion_;               // [classes, classes]
  std::vector<std::int64_t> bin_images_, bin_right_;  // [bins]
  std::vector<double> bin_confidence_;
};

}  // namespace kindred
