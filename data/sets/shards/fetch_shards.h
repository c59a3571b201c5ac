// Tar shards that are given one by one (shard_list.h), as files that can be read at random.
#pragma once

#include <kindred/data/sets/shards/shard_folder.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// A shard that can be read.
struct ShardFile {
  std::filesystem::path file;
  std::string name;    // for messages: its path, or "pipe:" and the command that wrote it
  std::string called;  // wherever it lies: "train-007.tar"
};

// Tar shards of a data set that no folder says (DatasetOptions::shards).
struct GivenShards {
  std::vector<ShardFile> training, evaluation;  // `evaluation` may be empty
  std::string name_of_evaluation;               // name_of_shards(); empty if there are none
  std::filesystem::path class_list;             // its classes.txt, if there may be one; otherwise empty
  std::shared_ptr<const ShardFolder> folder;    // keeps the files of commands; null if there are none
};

struct FetchProgress {
  std::int64_t shards = 0, of = 0;  // that commands have written, and that they have to write
  std::uint64_t bytes = 0;          // of those that are written
  std::filesystem::path folder;
};

struct ShardRequest {
  std::vector<std::string> training, evaluation;  // as shards_named() takes them
  std::string cache;           // the folder that keeps what commands write; empty: a temporary one
  double silent_seconds = 60;  // a command that writes nothing for so long is tried again
  int attempts = 4;
  double first_wait_seconds = 1;  // before the second attempt; each wait is twice the one before
  int at_once = 8;                // commands
  // Called before the first and after each shard, by one thread at a time.
  std::function<void(const FetchProgress&)> show{};
  // Asked often; the commands are ended once it says true, and Error(interrupted) is thrown. May be empty.
  std::function<bool()> stop{};
};

// Reads the shards of commands into the folder, those that are not there yet. Each process of a machine may make this call at the
// same time: each shard is read by one of them, and the others wait. A file is in the folder under its name only when it
// is a whole tar file.
//
// Throws Error(usage) as shards_named() does, Error(data) for a file that cannot be read and for a command that fails, which
// says the command, which shard it is, its exit code or signal, the last line of its standard error, and what to do;
// Error(device) with Cause::out_of_processes, at the first attempt, if the system has no process for a command; and
// Error(io) if the folder cannot be written to. Messages that end in `folder_for_shards` mean ShardRequest::cache.
inline constexpr std::string_view folder_for_shards = "folder for shards";
std::shared_ptr<const GivenShards> fetch_shards(const ShardRequest& request);

}  // namespace kindred
