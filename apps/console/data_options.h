// The flags for the data set that programs share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace kindred {

class CommandLine;

class Dataset;  // data/sets/dataset.h, which has these three
struct DatasetOptions;
enum class Split;
struct PositiveStatistics;  // data/loading/sampler.h

struct DataFlags {
  std::string path;
  std::int64_t limit_per_class = 0;
  std::optional<std::int64_t> limit_eval;  // empty: the same as limit_per_class
  double val_fraction = 0;
  std::uint64_t val_seed = 0;

  void add_to(CommandLine& line);  // this object must outlive the parsing
  void check_values() const;       // throws Error(usage), which names the flag
  std::int64_t limit_eval_per_class() const { return limit_eval.value_or(limit_per_class); }
  // Returns true if a file of that name would lie inside the data set. Nothing may be written there.
  bool contains(const std::filesystem::path& name) const;
  // Throws Error(usage) if the file given by --flag NAME would lie inside the data set. An empty name is
  // accepted.
  void check_outside(const char* flag, const std::string& name) const;
  DatasetOptions options(Split split) const;
  // Returns nullopt if there is no such split. Throws Error(data).
  std::optional<Dataset> open(Split split) const;
  // `split` is "train" or "evaluation". Throws Error(usage) for any other name, and Error(data) if there is no
  // such split.
  Dataset open_named(const std::string& split) const;
};

// The description of DIR in --help, and the message for missing evaluation images.
inline constexpr const char* data_help =
    "class folders (DIR/train/<class>/*, DIR/val or DIR/test), ImageNet, tar shards, CIFAR's binary files, or "
    "a pack";
inline constexpr const char* no_evaluation_advice =
    "give it DIR/val/<class>/*, or hold some out by --val-fraction";

// "an anchor has 3.4 positives in a batch, on average". A warning line follows if many anchors have only their
// own other views as positives, or none at all.
std::string describe(const PositiveStatistics& positives, int views);

}  // namespace kindred
