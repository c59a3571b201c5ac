// What class images are given by their nearest neighbours, or by a classifier.
#pragma once

#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/neighbours.h>
#include <kindred/apps/report/images/confusion.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

struct Classifier;  // models/classifier_file.h

// The class that the neighbours of each query give it: each votes for its own with exp(cosine / 0.07), as for the accuracy of an
// encoder (apps/evaluation/nearest_neighbours.h). Of equal votes the earlier class. `bank_labels` are those of the rows that
// `neighbours` name.
std::vector<std::int32_t> voted_classes(const Neighbours& neighbours,
                                        const std::vector<std::int32_t>& bank_labels);

// The class that the classifier scores highest, as an index into the table's classes; -1 if it is none of them. Of equal scores
// the earlier class of the classifier. Throws Error(data) if it has none of the classes.
std::vector<std::int32_t> classified(const Classifier& classifier, const ImageTable& table);

// The classifier that was trained on this encoder: of the run itself (--loss cross_entropy) or of its probe, RUN/probe. Nothing if
// there is none, if it cannot be read, or if it is of another encoder.
struct FoundClassifier {
  std::filesystem::path file{};
  std::string what{};  // "the run's classifier", "the linear probe in RUN/probe"
};
std::optional<FoundClassifier> find_classifier(const std::filesystem::path& run, std::int64_t feature_dim,
                                               const std::string& encoder_checksum);

ConfusionCounts confusion_of(const std::vector<std::int32_t>& truths, const std::vector<std::int32_t>& named,
                             std::int64_t classes);

// Gives the rows of both tables indices into one list of classes, in which a name stands once.
void unify_classes(ImageTable& first, ImageTable& second);

}  // namespace kindred
