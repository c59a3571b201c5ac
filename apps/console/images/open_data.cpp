#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/messages/shard_progress.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/shards/fetch_shards.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <fmt/core.h>
#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

constexpr Named<Split> split_names[] = {
    {Split::train, "train"}, {Split::val, "val"}, {Split::test, "test"}, {Split::evaluation, "evaluation"}};

// Names of the parts of a set that the program can open by --split.
std::vector<const char*> parts_there(const DataFlags& data) {
  std::vector<const char*> parts;
  for (const auto& [split, name] : split_names) {
    if (split == Split::evaluation || (data.trains && split == Split::train)) continue;
    try {
      DatasetOptions options = data.options(split);
      options.shards = data.fetched_shards();
      if (open_dataset(data.path, split, options)) parts.push_back(name);
    } catch (const Error& error) {  // it cannot be used either
      if (data.takes_unlabelled && error.cause() == Cause::needs_labels) parts.push_back(name);
    }
  }
  return parts;
}

[[noreturn]] void fail_no_split(const DataFlags& data) {
  const std::vector<const char*> parts = parts_there(data);
  check(!parts.empty() || !data.trains, ExitCode::usage,
        "--split {}: {} has no such images, and no others to evaluate on; {}", data.named_split, data.path,
        data.evaluation_advice());
  fail(ExitCode::usage, "--split {}: {} has no such images; it has {}", data.named_split, data.path,
       parts.empty() ? "no others that can be used" : fmt::format("{}", fmt::join(parts, " and ")));
}

// The error of the part that --split names, with the names of those that can be used in its place.
Error with_other_splits(const Error& error, const DataFlags& data) {
  const std::vector<const char*> parts = parts_there(data);
  if (parts.empty()) return error;
  return Error(error.code(), fmt::format("{}, or use --split {}", error.what(), fmt::join(parts, " or ")));
}

// The library does not know by which flag a list is given.
std::string with_list_flag(const std::string& note) {
  return note.ends_with(list_gives_labels) ? note + ": --labels FILE.csv" : note;
}

}  // namespace

Split DataFlags::asked_split() const {
  return value_named(split_names, named_split).value_or(Split::evaluation);
}

std::optional<Dataset> DataFlags::open(Split split) const {
  std::error_code ignored;
  check(
      said_in.empty() || !shards.empty() || std::filesystem::path(path).is_absolute() ||
          std::filesystem::exists(path, ignored),
      ExitCode::data,
      "{}: no such folder here; {} gives this path, which is meant from the folder where its run was started; "
      "change to that folder, or give DIR beside --config {}",
      path, said_in, said_in);
  DatasetOptions of_part = options(split);
  of_part.shards = fetched_shards();
  const Split asked = asked_split();
  const bool is_named = split == (asked == Split::train ? Split::train : Split::evaluation);
  std::optional<Dataset> set;
  try {
    set = open_dataset(path, split, of_part);
  } catch (const Error& error) {
    const bool says_all = error.code() != ExitCode::data || error.cause() != Cause::other;
    if (says_all || !is_named || asked == Split::evaluation) throw;
    throw with_other_splits(error, *this);
  }
  if (!set && is_named && asked != Split::evaluation) fail_no_split(*this);
  return set;
}

std::shared_ptr<const GivenShards> DataFlags::fetched_shards() const {
  if (shards.empty() || fetched_ != nullptr) return fetched_;
  ShardProgress progress;
  ShardRequest request{shards, val_shards, shard_cache, shard_timeout};
  request.stop = [] { return interrupt_signal() != 0; };
  if (world().is_first()) request.show = [&](const FetchProgress& now) { progress.show(now); };
  try {
    fetched_ = fetch_shards(request);
  } catch (const Error& error) {
    end_if_interrupted(shard_cache.empty()
                           ? "shards were being read; the same command begins anew"
                           : "shards were being read; the same command goes on with those that are left");
    const std::string message = error.what();
    throw Error(error.code(), message.ends_with(folder_for_shards) ? message + ": --shard-cache DIR" : message,
                error.cause());
  }
  if (fetched_->folder) progress.end(*fetched_->folder);
  return fetched_;
}

std::string DataFlags::evaluation_advice() const {
  const std::string own = shards.empty() ? place_of_evaluation(path, labels) : "add --val-shards";
  return own + ", or hold some out by --val-fraction";
}

Dataset DataFlags::open_all_shards() const {
  DataFlags all = *this;
  all.val_fraction = 0;
  all.limit_per_class = limit_eval_per_class();
  Dataset set = *all.open(Split::train);
  fetched_ = all.fetched_;
  set.set_origin({path, "all"});
  print_notes(set);
  return set;
}

Dataset DataFlags::open_asked() const {
  const bool of_train = asked_split() == Split::train;
  const auto dataset = open(of_train ? Split::train : Split::evaluation);
  if (!dataset) {
    const std::vector<const char*> parts = parts_there(*this);
    fail(ExitCode::data, "{} has no val or test images that can be used; {}{}", path, evaluation_advice(),
         parts.empty() ? "" : fmt::format(", or use --split {}", fmt::join(parts, " or ")));
  }
  print_notes(*dataset);
  return *dataset;
}

void print_notes(const Dataset& set, const Dataset* printed) {
  for (const std::string& note : set.notes()) {
    const bool is_new = printed == nullptr || std::find(printed->notes().begin(), printed->notes().end(),
                                                        note) == printed->notes().end();
    if (is_new) fmt::print("{}\n", one_line(with_list_flag(note)));
  }
}

}  // namespace kindred
