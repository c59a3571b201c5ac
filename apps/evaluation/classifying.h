// Class probabilities from features, and measures of their quality.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/engine/tensor.h>
#include <kindred/models/classifier_file.h>

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

// The logarithm of softmax(features W^T + b) for features [n, dim] on any device. Returns [n * classes] on the host,
// computed in f64. The probabilities themselves would be 0 for all classes whose logits lie far behind.
std::vector<double> class_log_probabilities(const Classifier& classifier, const Tensor& features);

// The `top` most probable classes of one image with their probabilities, the most probable first; of equal ones the class that
// stands first. log_probabilities: [classes].
std::vector<std::pair<std::string, double>> most_probable(const Classifier& classifier,
                                                          std::span<const double> log_probabilities,
                                                          std::int64_t top);

inline constexpr std::int32_t unknown_class = -1;

// Maps each class of the set to its index in the classifier, by name; unknown_class if the classifier does not have it.
// Only if the classifier's file has no class names, and as many classes as the set, are they the set's in their order.
// Throws Error(data) if the classifier has none of the classes.
std::vector<std::int32_t> match_classes(const Classifier& classifier,
                                        const std::vector<std::string>& class_names);

// Sums over the images of a set.
class Scores {
 public:
  explicit Scores(std::int64_t classes);

  // Adds one image: the logarithms of its probabilities [classes] and its true class.
  void add(const double* log_probabilities, std::int32_t label);
  // Adds several: their features [n, dim], on any device, and their classes [n], as the classifier counts them.
  void add(const Classifier& classifier, const Tensor& features, const std::vector<std::int32_t>& labels);

  std::int64_t images() const { return images_; }
  // Fractions in [0, 1]. Among equal probabilities, and if one is not a number, the right class counts as the last.
  double top1() const;
  double top5() const;
  double negative_log_likelihood() const;  // mean, in nats
  // Expected calibration error (Guo et al. 2017, arXiv 1706.04599): the mean distance between confidence and
  // accuracy over 15 bins of equal width, weighted by the number of images in each.
  double calibration_error() const;
  // The number of images with this [true class][predicted class].
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
