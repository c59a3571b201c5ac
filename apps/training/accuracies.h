// Accuracies of the encoder during training.
#pragma once

#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/training/learner.h>
#include <kindred/data/loading/loader.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace kindred {

// What an accuracy is compared with: that of always naming the most frequent class.
struct Chance {
  double accuracy = 0;
  std::int64_t images = 0;  // of the evaluation, that a figure during training is of
};
// Of images with these labels, from 0 to classes - 1.
Chance chance_among(std::span<const std::int32_t> labels, int classes);

struct Accuracies {
  std::optional<double> neighbours;  // top-1 of the nearest training images, 0 to 1
  std::optional<double> probe;       // of the online probe, if there is one
  // Of the classifier that cross-entropy trains: the share of images whose class has the highest score, or one of the
  // five highest.
  std::optional<double> classifier, classifier_top5;
  // If evaluation images could not be read: that of the others, which these figures are of.
  std::optional<Chance> chance{};
  // Those of the evaluation that could not, or are damaged, among the images that were looked at.
  std::vector<BadImage> bad_images{};
};

// The evaluation images that were looked at, and the features of those that could be read.
struct MeasuredImages {
  std::optional<Dataset> images{};   // empty: none could be read
  std::vector<std::int64_t> rows{};  // [features.rows()]: which of the images each row is of
  FeatureTable features{};
};

// So many images of a set are measured during training.
inline constexpr std::int64_t most_images_measured = 10000;

// How many images go through the network at a time while they are measured: 128, but no more pixels than a step of this
// process (a micro-batch) has, so that measuring takes no more memory for activations than the step that was planned for.
std::int64_t images_measured_at_once(const PretrainOptions& options);

// Measured without augmentation on at most `most_images` of each set, evenly spread over it, because each image
// needs a forward pass. Values are empty if no image could be read. If a signal interrupts the measurement,
// they are those of the images so far.
//
// `measured`, if it is given, gets the evaluation images with their features: the same in every process.
//
// The processes of world() share the work of this function and of the next, so all of them must call it. Each gets the
// same values.
Accuracies measure_accuracies(Learner& learner, const PretrainOptions& options, Device device,
                              const Dataset& train, const Dataset& evaluation,
                              std::int64_t most_images = most_images_measured,
                              MeasuredImages* measured = nullptr);

// The scores of the classifier that cross-entropy trains, on all images of a set that can be read. If a signal
// interrupts the measurement, those of the images so far.
Scores measure_classifier(const Learner& learner, const PretrainOptions& options, Device device,
                          const Dataset& evaluation);

}  // namespace kindred
