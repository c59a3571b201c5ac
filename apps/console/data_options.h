// The flags for the data set that programs share. What opens the set that they name is in images/open_data.cpp.
#pragma once

#include <kindred/layers/image_input/preparation.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

class CommandLine;

class Dataset;  // data/sets/dataset.h, which has these three
struct DatasetOptions;
struct GivenShards;  // data/sets/shards/fetch_shards.h
enum class Split;

struct DataFlags {
  std::string path;    // with `shards`: what the set is called
  std::string labels;  // a CSV file with the labels of the images; empty: the layout of the set says them
  std::int64_t limit_per_class = 0;
  std::optional<std::int64_t> limit_eval;  // empty: the same as limit_per_class
  std::optional<double> val_fraction;      // empty: what the set says, 0 or 0.1 (default_val_fraction)
  std::uint64_t val_seed = 0;
  // Tar shards in the place of DIR: files, ranges and commands (data/sets/shards/shard_list.h); empty: DIR has the images.
  std::vector<std::string> shards, val_shards;
  std::string shard_cache;           // the folder that keeps what commands write; empty: a temporary one
  double shard_timeout = 60;         // seconds
  ExifMode exif = ExifMode::ignore;  // no flag of its own: an encoder may say it (preparation_flags.h)
  std::string said_in;               // the file of --config that gives `path`; empty: it was typed
  std::string named_split;        // by --split: a name of a part; empty: "evaluation", which is val, else test
  bool trains = false;            // --split takes the parts to evaluate on alone
  bool takes_unlabelled = false;  // the program also uses images whose classes are unknown (open_images)

  void add_to(CommandLine& line);  // this object must stay where it is until the parsing has ended
  void add_split_to(CommandLine& line,
                    const std::string& default_help);  // --split of programs that do not train
  void add_evaluation_split_to(CommandLine& line);     // --split of those that do
  void check_values() const;                           // throws Error(usage), which names the flag
  std::int64_t limit_eval_per_class() const { return limit_eval.value_or(limit_per_class); }
  // Returns true if a file of that name would lie inside the data set, or is the list of labels. Nothing may be written
  // there.
  bool contains(const std::filesystem::path& name) const;
  // Throws Error(usage) if the file given by --flag NAME would lie inside the data set. An empty name is
  // accepted.
  void check_outside(const char* flag, const std::string& name) const;
  DatasetOptions options(Split split) const;
  // The part of the training images that is held out, for a record of the settings.
  double held_out_fraction() const;
  // Shards were given, and nothing says which images are for evaluation.
  bool has_shards_without_parts() const;
  // DIR and the flags that were given, as words of a shell's command: "DIR --val-fraction 0.2". Left out is what a program
  // with the same flags does without them.
  std::string words() const;
  // Returns nullopt if there is no such split. Throws Error(data), which says of what a file gives that it may be meant from
  // another folder; and Error(usage) if `split` is evaluation, --split
  // names what that is, and there is no such split: it names those that there are.
  std::optional<Dataset> open(Split split) const;
  // The shards, which are fetched by the first call, with a line that says what was read; null without `shards`. Throws as
  // fetch_shards() does.
  std::shared_ptr<const GivenShards> fetched_shards() const;
  // What to do about a set without images to evaluate on: how this layout has some, or "hold some out by --val-fraction".
  std::string evaluation_advice() const;
  // All images of shards.
  Dataset open_all_shards() const;
  // The part that --split names. Prints the notes of the set. Throws Error(usage) if there is no such part, and
  // Error(data) if none was named and there is nothing to evaluate on.
  Dataset open_asked() const;

 private:
  void settle_shards(const CommandLine& line);
  Split asked_split() const;  // what --split names; without it evaluation

  mutable std::shared_ptr<const GivenShards> fetched_;
};

// Prints the notes of a set (Dataset::notes), a line each, without those that were printed for another split of it.
void print_notes(const Dataset& set, const Dataset* printed = nullptr);

// The description of DIR in --help.
inline constexpr const char* data_help =
    "class folders (DIR/train/<class>/* and DIR/val or DIR/test; or DIR/<class>/* alone), images with "
    "--labels, "
    "ImageNet, tar shards (also by --shards), CIFAR's binary files, or a pack";

// --max-bad: the number of unreadable images that `text` accepts out of `images`. The text is a number ("100"), or a
// share ("5%"), which is rounded down. Returns nullopt if it is neither.
std::optional<std::int64_t> accepted_bad_images(const std::string& text, std::int64_t images);
inline constexpr const char* max_bad_expected = "a number of images, 0 or more, or a share of them, 0% to 100%";

}  // namespace kindred
