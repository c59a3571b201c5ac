// What a user may give as weights: a file, a checkpoint, or the folder of a run; and the names of those files in a
// run.
#pragma once

#include <kindred/models/weights_file.h>

#include <filesystem>
#include <optional>
#include <string>

namespace kindred {

// Of the newest checkpoint, and of the best one. Both are encoder files.
inline constexpr const char *encoder_name = "encoder.safetensors",
                            *best_encoder_name = "best_encoder.safetensors";
// The classifiers that were trained with them, of a run with --loss cross_entropy.
inline constexpr const char *classifier_name = "classifier.safetensors",
                            *best_classifier_name = "best_classifier.safetensors";

// The folder of the run that a checkpoint is of.
std::filesystem::path run_of_checkpoint(const std::filesystem::path& checkpoint);

// The checkpoint that RUN/checkpoints/best.txt names, if it is there.
std::optional<std::filesystem::path> best_checkpoint(const std::filesystem::path& run);

// The file to read the weights from: `given`, or if it is the folder of a run, its encoder.safetensors; with `best`
// its best_encoder.safetensors, or the best checkpoint of a run of an earlier version. `flag` ("--encoder") is for
// errors. A checkpoint is a file of weights like any other: read_weights_info(), load_weights() and load_encoder()
// take it. Throws Error(usage) for `best` with a file, and Error(file) if nothing is there, if the folder has no such file,
// if it cannot be read, if it is a classifier alone, or if the file was set aside by an --overwrite: then the error says where
// it is.
std::filesystem::path weights_file(const std::string& flag, const std::filesystem::path& given, bool best);

// The file of a classifier: `given`, or if it is a folder, its classifier.safetensors; with `best` its
// best_classifier.safetensors, if it has one; "" if `given` is. Throws Error(file) if it is not there or cannot be read, with
// the command that makes one, or if it was set aside.
std::string classifier_file(const std::string& given, bool best);

// read_encoder_info() and read_weights_info(). What a checkpoint of an earlier version does not say, the
// config.json of its run does. Throws Error(file).
EncoderInfo encoder_info_of(const std::filesystem::path& file);
WeightsInfo weights_info_of(const std::filesystem::path& file);

}  // namespace kindred
