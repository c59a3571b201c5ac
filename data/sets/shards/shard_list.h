// Tar shards as they are given one by one, in the way of WebDataset:
//
//   data/train-000.tar                        a file
//   data/train-{000..127}.tar                 a range, also {1..9}, {9..1}, {000..126..2}, {a..e}, and a choice {left,right}
//   pipe:curl -sSf https://host/x-{000..127}.tar   a command of the shell, whose standard output is the tar file
//
// Braces that hold neither a range nor a choice without spaces and quotes stay as they are, and so do `${name}` and `\{`,
// which the shell reads.
#pragma once

#include <string>
#include <vector>

namespace kindred {

struct ShardSpec {
  std::string text;    // without ranges: "data/train-007.tar", "pipe:curl ..."
  std::string called;  // what the shard is called wherever it lies and however it is read: "train-007.tar"

  bool is_pipe() const;
  std::string command() const;  // of a pipe
};

// The shards that the texts mean, in their order; ranges count up from the right, as in the shell. Throws Error(usage) for a
// text that is empty, "pipe:" without a command, more than a million shards, and a shard that is named twice.
std::vector<ShardSpec> shards_named(const std::vector<std::string>& texts);

// What a set of shards is called, with ranges as they were given: "train-{000..127}.tar", "pipe:curl ... and 2 more". `texts`
// is not empty.
std::string name_of_shards(const std::vector<std::string>& texts);

// What a text with ranges stands for.
std::vector<std::string> expand_braces(const std::string& text);

}  // namespace kindred
