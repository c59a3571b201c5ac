#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/training/options/config_paths.h>
#include <kindred/data/sets/shards/shard_list.h>

#include <fmt/core.h>

#include <system_error>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool is_found(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_same_folder(const fs::path& one, const fs::path& other) {
  std::error_code ignored;
  return fs::equivalent(one, other, ignored);
}

bool is_relative(const std::string& path) {
  return !path.empty() && fs::path(path).is_relative();
}

// The first file that a text of --shards means; empty for a command.
std::string first_file(const std::string& shard) {
  const ShardSpec first = shards_named({shard}).front();
  return first.is_pipe() ? "" : first.text;
}

// What says where the images of the file are; empty if DIR or other shards were typed.
std::string data_in_config(const ConfigPaths& paths, const PretrainOptions& plain) {
  if (paths.line.has("DIR")) return "";
  for (const std::string& shard : plain.data.shards)
    if (const std::string file = first_file(shard); !file.empty()) return file;
  return plain.data.shards.empty() ? plain.data.path : "";
}

// Paths of the file, of which those that are relative are meant from one folder.
class FromStart {
 public:
  // `may_be_here`: what is not in that folder may be meant from the current one.
  FromStart(const fs::path& start, bool may_be_here) : start_(start), may_be_here_(may_be_here) {}

  void resolve(std::string& path) const {
    if (is_relative(path) && !is_here(path)) path = (start_ / path).string();
  }
  void resolve_shard(std::string& shard) const {
    const std::string file = first_file(shard);
    if (is_relative(file) && !is_here(file)) shard = (start_ / shard).string();
  }

 private:
  bool is_here(const std::string& path) const {
    return may_be_here_ && !is_found(start_ / path) && is_found(path);
  }

  const fs::path start_;
  const bool may_be_here_;
};

}  // namespace

void resolve_config_paths(const ConfigPaths& paths, PretrainOptions& plain, GivenOptions& config,
                          std::string& data) {
  const fs::path start = paths.started_in;
  std::error_code ignored;
  if (start.empty() || !fs::is_directory(start, ignored) || is_same_folder(start, ".")) return;
  const std::string images = data_in_config(paths, plain);
  const bool says_images = is_relative(images);
  if (says_images && !is_found(start / images)) {
    // A run may have the name of its data set. It is not what it was trained on.
    const bool is_run = is_same_folder(images, fs::absolute(paths.file, ignored).parent_path());
    if (is_found(images) && !is_run) {
      fmt::print("{}\n",
                 one_line(fmt::format("{} is not in {}, where the run of {} was started, but here: all paths "
                                      "in that file are taken from the current folder",
                                      images, start.string(), paths.file)));
      return;
    }
    if (!is_run) return;  // the error about it says from where it may be meant
  }
  const FromStart from_start(start, !says_images);
  const auto is_typed = [&](const char* flag) { return paths.line.has(flag); };
  from_start.resolve(data);
  if (!is_typed("DIR") && plain.data.shards.empty()) from_start.resolve(plain.data.path);
  if (!is_typed("--labels")) from_start.resolve(plain.data.labels);
  if (!is_typed("--shards"))
    for (std::string& shard : plain.data.shards) from_start.resolve_shard(shard);
  if (!is_typed("--val-shards"))
    for (std::string& shard : plain.data.val_shards) from_start.resolve_shard(shard);
  if (!is_typed("--shard-cache")) from_start.resolve(plain.data.shard_cache);
  if (!is_typed("--weights")) from_start.resolve(plain.weights);
  if (config.augment && config.augment->ends_with(".json")) from_start.resolve(*config.augment);
}

bool is_same_place(const std::string& in_config, const std::string& start, const fs::path& here) {
  if (in_config.empty() || here.empty()) return in_config.empty() && here.empty();
  std::error_code ignored;
  const fs::path there = start.empty() ? fs::absolute(in_config, ignored) : fs::path(start) / in_config,
                 place = fs::absolute(here, ignored);
  return there.lexically_normal() == place.lexically_normal() || fs::equivalent(there, place, ignored);
}

}  // namespace kindred
