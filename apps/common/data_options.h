// The flags about the data set that programs share.
#pragma once

#include <kindred/data/dataset.h>
#include <kindred/data/sampler.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace CLI {
class App;
}

namespace kindred {

struct DataFlags {
  std::string path;
  std::int64_t limit_per_class = 0;
  std::optional<std::int64_t> limit_eval;  // not given: as limit_per_class
  double val_fraction = 0;
  std::uint64_t val_seed = 0;

  void add_to(CLI::App& app);  // the object must outlive the parsing
  void check_values() const;   // Error(usage) names the flag
  std::int64_t limit_eval_per_class() const { return limit_eval.value_or(limit_per_class); }
  // Whether something of that name would lie in the data set, into which nothing may be written.
  bool contains(const std::filesystem::path& name) const;
  // Error(usage) where what is written to --flag NAME would; "" is fine.
  void check_outside(const char* flag, const std::string& name) const;
  DatasetOptions options(Split split) const;
  std::optional<Dataset> open(Split split) const { return open_dataset(path, split, options(split)); }
  // "train" or "evaluation"; Error(usage) for any other, Error(data) where there is no such split.
  Dataset open_named(const std::string& split) const;
};

// What stands for DIR in --help, and what is said where images to evaluate on are missing.
inline constexpr const char* data_help =
    "class folders (DIR/train/<class>/*, DIR/val or DIR/test), ImageNet, tar shards, CIFAR's binary files, or "
    "a pack";
inline constexpr const char* no_evaluation_advice =
    "give it DIR/val/<class>/*, or hold some out by --val-fraction";

// "an anchor has 3.4 positives in a batch, on average", and a warning line where many anchors have nothing but
// their own other views, or nothing at all.
std::string describe(const PositiveStatistics& positives, int views);

}  // namespace kindred
