// Relative paths in a config.json. They are meant from the folder in which its run was started, wherever the next command is
// typed: a folder of the same name in the current one may hold other images.
#pragma once

#include <kindred/apps/training/options/pretrain_options.h>

#include <filesystem>
#include <string>

namespace kindred {

class CommandLine;

struct ConfigPaths {
  const CommandLine& line;  // after parse(): which flags were typed
  const std::string& file;  // of --config
  const std::string&
      started_in;  // that the file says; empty: nothing, and all paths are meant from the current folder
};

// Makes absolute what the file gives in `plain` and `config`: the data set, --labels, --shards, --val-shards, --shard-cache,
// --weights and the file of --augment. What was typed stays as it is, and so does everything if the current folder is the one
// that the file says. If the data set is not there but here, all paths are meant from here, and a line says so. `data` is the
// data set of the file, and becomes absolute too.
void resolve_config_paths(const ConfigPaths& paths, PretrainOptions& plain, GivenOptions& config,
                          std::string& data);

// Whether the text in one config.json, which is meant from the folder in `started_in`, and a path that is meant from the
// current folder lead to the same place.
bool is_same_place(const std::string& in_config, const std::string& started_in,
                   const std::filesystem::path& here);

}  // namespace kindred
