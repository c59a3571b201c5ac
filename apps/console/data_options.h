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
  std::optional<double> val_fraction;      // empty: 0, or 0.1 for class folders alone (default_val_fraction)
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
  // The part of the training images that is held out, for a record of the settings.
  double held_out_fraction() const;
  // Returns nullopt if there is no such split. Throws Error(data).
  std::optional<Dataset> open(Split split) const;
  // `split` is "train" or "evaluation". Prints the notes of the set. Throws Error(usage) for any other name, and
  // Error(data) if there is no such split.
  Dataset open_named(const std::string& split) const;
};

// Prints the notes of a set (Dataset::notes), a line each, without those that were printed for another split of it.
void print_notes(const Dataset& set, const Dataset* printed = nullptr);

// The description of DIR in --help, and the message for missing evaluation images.
inline constexpr const char* data_help =
    "class folders (DIR/train/<class>/* and DIR/val or DIR/test; or DIR/<class>/* alone), ImageNet, tar "
    "shards, "
    "CIFAR's binary files, or a pack";
inline constexpr const char* no_evaluation_advice =
    "give it DIR/val/<class>/*, or hold some out by --val-fraction";

// --max-bad: the number of unreadable images that `text` accepts out of `images`. The text is a number ("100"), or a
// share ("5%"), which is rounded down. Returns nullopt if it is neither.
std::optional<std::int64_t> accepted_bad_images(const std::string& text, std::int64_t images);
inline constexpr const char* max_bad_expected = "a number of images, 0 or more, or a share of them, 0% to 100%";

// "an anchor has 3.4 positives in a batch, on average". A warning line follows if many anchors have only their
// own other views as positives, or none at all.
std::string describe(const PositiveStatistics& positives, int views);

}  // namespace kindred
