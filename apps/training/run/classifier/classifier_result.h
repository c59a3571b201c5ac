// What a run with --loss cross_entropy ends with besides its encoder: the accuracy of its classifier.
#pragma once

#include <kindred/apps/training/accuracies.h>

#include <cstdint>
#include <filesystem>

namespace kindred {

inline constexpr const char* classifier_result_name = "result.json";

// Writes RUN/result.json with the keys of linear_probe's, except for those about the start of the program, which
// config.json has, and `epochs_done`, which is less than `settings.epochs` if the run ended early. Prints the accuracy.
// `scores` are those of `evaluation` (measure_classifier). If none of them could be read, there is no result, and a line
// says so. Throws Error(io).
void write_classifier_result(const PretrainOptions& options, const Scores& scores, std::int64_t epochs_done,
                             const Dataset& train, const Dataset& evaluation);

// To be called when a run that had finished goes on: its RUN/result.json is of weights that will not be there any more.
// Removes it if the run's config.json says that the run trains a classifier; otherwise the file is not the run's. Throws
// Error(io), and Error(file) if config.json cannot be read.
void remove_classifier_result(const std::filesystem::path& run);

}  // namespace kindred
