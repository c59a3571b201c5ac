#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/report/images/run_images.h>
#include <kindred/apps/training/options/config_file.h>
#include <kindred/apps/training/training_images.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/data/sets/shards/shard_list.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool is_anything(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The path from the run's start, if it leads somewhere there, otherwise as it is.
std::string from_run_start(const std::string& path, const fs::path& start) {
  if (path.empty() || start.empty() || fs::path(path).is_absolute()) return path;
  return is_anything(start / path) ? (start / path).string() : path;
}

// The same of a file or a range of files.
std::string shard_from_run_start(const std::string& shard, const fs::path& start) {
  const std::vector<ShardSpec> named = shards_named({shard});
  const bool is_command =
      std::any_of(named.begin(), named.end(), [](const ShardSpec& each) { return each.is_pipe(); });
  check(!is_command && !named.empty(), ExitCode::data,
        "{}: the set comes from a command, which is not run here; give the set by --data", shard);
  const fs::path first = named.front().text;
  if (start.empty() || first.is_absolute() || !is_anything(start / first)) return shard;
  return (start / shard).string();
}

// Its errors are about a flag of pretrain, which nobody has typed here.
ConfigOptions read_config_of_run(const RunFiles& run, const std::string& given, PretrainOptions& options) {
  const std::string file = (run.folder / "config.json").string(), flag = "--config " + file + ": ";
  try {
    return read_config(file, options);
  } catch (const Error& error) {
    const std::string_view what = error.what();
    throw Error(error.code(),
                fmt::format("config.json: {}{}", what.starts_with(flag) ? what.substr(flag.size()) : what,
                            given.empty() ? "; give the set by --data" : ""),
                error.cause());
  }
}

PretrainOptions options_for_images(const RunFiles& run, const std::string& given) {
  PretrainOptions options;
  const ConfigOptions read = read_config_of_run(run, given, options);
  const fs::path start = read.started_in;
  DataFlags& data = options.data;
  if (given.empty()) {
    data.path = from_run_start(data.path, start);
    for (auto* const shards : {&data.shards, &data.val_shards})
      for (std::string& shard : *shards) shard = shard_from_run_start(shard, start);
    data.shard_cache = from_run_start(data.shard_cache, start);
  } else {
    data.path = given;
    data.shards.clear();
    data.val_shards.clear();
  }
  data.labels = from_run_start(data.labels, start);
  data.trains = true;
  data.exif = parse_exif(run.text("exif").value_or("ignore"));
  options.exif = data.exif;
  return options;
}

}  // namespace

RunImages open_run_images(const RunFiles& run, const std::string& given, std::vector<std::string>& notes) {
  check(run.config.contains("data") || !given.empty(), ExitCode::data,
        "config.json does not say which data set the run is of; give it by --data");
  const PretrainOptions options = options_for_images(run, given);
  options.data.check_values();
  RunImages images{open_training_images(options), std::nullopt};
  const bool has_its_images = run.text("data_fingerprint").value_or("") == data_fingerprint(images.train);
  if (!has_its_images)
    notes.push_back(
        fmt::format("{} is not the set that the run was trained on: it has other images, names or classes",
                    options.data.path));
  images.evaluation = open_evaluation_images(options, images.train);
  const auto evaluated = number_at(run.config, "evaluated_on/images");
  images.are_of_run = has_its_images && images.evaluation && evaluated &&
                      *evaluated == static_cast<double>(images.evaluation->size());
  if (has_its_images && images.evaluation && evaluated && !images.are_of_run)
    notes.push_back(fmt::format("the run was evaluated on {:.0f} images, and the set has {}", *evaluated,
                                images.evaluation->size()));
  return images;
}

}  // namespace kindred
