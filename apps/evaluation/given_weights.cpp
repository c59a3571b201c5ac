#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/start_facts.h>  // defines: shell_path
#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/data/files/file.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>   // defines: open
#include <unistd.h>  // defines: close
#include <nlohmann/json.hpp>

#include <cstddef>
#include <map>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_name_bytes = 300, most_config_bytes = std::size_t{1} << 20;
constexpr const char* what_has_weights =
    "give the --out folder of a pretrain run, a checkpoint, or a .safetensors file";

bool nothing_is_at(const fs::path& path) {
  std::error_code ignored;
  return fs::status(path, ignored).type() == fs::file_type::not_found;
}

// Throws unless what is at the path can be opened. `advice` says what may be given.
void check_can_be_read(const std::string& flag, const fs::path& path, const std::string& advice) {
  // O_NONBLOCK: otherwise opening a FIFO without a writer would wait for ever.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file >= 0) {
    ::close(file);
    return;
  }
  const std::string reason = system_message();
  check(!is_circular_link(path), ExitCode::file, "{} {}: {}; {}", flag, path.string(), dead_link_text(path),
        advice);
  fail(ExitCode::file, "{} {} cannot be read: {}; check its permissions, or {}", flag, path.string(), reason,
       advice);
}

// The content of a small file of a run; empty if it cannot be read.
std::string small_file(const fs::path& path, std::size_t most_bytes) {
  const FileContent content = read_file(path.string(), most_bytes);
  return {content.bytes.begin(), content.bytes.end()};
}

// The encoder that a classifier was trained on, as far as the files beside it say, for advice.
std::string encoder_of_classifier(const fs::path& classifier) {
  std::error_code ignored;
  const bool is_best = classifier.filename() == best_classifier_name;
  const fs::path beside = classifier.parent_path() / (is_best ? best_encoder_name : encoder_name);
  if (fs::exists(beside, ignored)) return beside.string();
  const fs::path result_path = classifier.parent_path() / "result.json";
  const nlohmann::json result = parse_hostile_json(small_file(result_path, most_config_bytes));
  const bool says_one = result.is_object() && result.contains("encoder") && result["encoder"].is_string();
  const std::string encoder = says_one ? result["encoder"].get<std::string>() : "";
  return fs::is_regular_file(encoder, ignored) ? encoder : "the encoder.safetensors of its run";
}

// Throws if the file is a classifier alone. What else it may be is said by those that read it.
void check_is_no_classifier(const std::string& flag, const fs::path& path) {
  try {
    const SafetensorsFile file(path);
    if (file.find("fc.weight") == nullptr || file.entries().size() != 2) return;
  } catch (const Error&) {
    return;
  }
  fail(ExitCode::file, "{} {}: it is a classifier and holds no encoder; give {}", flag, path.string(),
       encoder_of_classifier(path));
}

// What the config.json of a checkpoint's run says about its encoder, if the checkpoint itself does not.
std::optional<EncoderInfo> info_from_config(const fs::path& path) {
  const SafetensorsFile file(path);
  if (!is_checkpoint(file) || file.metadata().contains("model")) return std::nullopt;
  const fs::path config_path = run_of_checkpoint(path) / "config.json";
  const nlohmann::json config = parse_hostile_json(small_file(config_path, most_config_bytes));
  if (!config.is_object()) return std::nullopt;
  std::map<std::string, std::string> texts;
  for (const char* key : {"model", "stem", "image_size", "pixel_mean", "pixel_std"})  // all that there was then
    if (const auto value = config.find(key); value != config.end())
      texts[key] = value->is_string() ? value->get<std::string>() : json_text(*value);
  try {
    return parse_encoder_info(config_path.string(), texts);
  } catch (const Error&) {  // it is no config.json of pretrain
    return std::nullopt;
  }
}

// A file that is missing may have been set aside, with the whole run or the result of the probe that it is of.
void check_not_set_aside(const fs::path& file) {
  std::error_code ignored;
  if (!file.has_filename() || fs::exists(file, ignored)) return;
  const fs::path holder = file.has_parent_path() ? file.parent_path() : fs::path(".");
  const auto check_place = [&](const char* hidden, const char* program, const fs::path& folder) {
    const fs::path place = holder / hidden / file.filename();
    check(
        !fs::is_regular_file(place, ignored), ExitCode::file,
        "{} is not there: an --overwrite that has not saved yet, or was killed, has set it aside as {}; after "
        "a kill the next `{}` in {} puts it back",
        file.string(), place.string(), program, folder.string());
  };
  // As takeover/set_aside.h calls them.
  for (const char* hidden : {".kindred-run-earlier", ".kindred-run-moving"})
    check_place(hidden, "pretrain", holder);
  check_place(".kindred-run-part", "pretrain", run_of_checkpoint(holder));
  for (const char* hidden : {".kindred-probe-earlier", ".kindred-probe-moving"})
    check_place(hidden, "linear_probe", holder);
}

// What to do if nothing is where a classifier is expected.
std::string how_to_get_classifier(const fs::path& given) {
  std::error_code ignored;
  const fs::path probe = given / "probe";
  if (fs::exists(probe / classifier_name, ignored)) return "give --classifier " + shell_path(probe.string());
  const bool is_run = fs::exists(given / encoder_name, ignored);
  return fmt::format("`{} DIR --encoder {} --out {}` makes one", command_of_program("linear_probe"),
                     is_run ? shell_path(given.string()) : "RUN",
                     is_run ? shell_path(probe.string()) : "RUN/probe");
}

}  // namespace

fs::path run_of_checkpoint(const fs::path& checkpoint) {
  std::error_code ignored;
  const fs::path folder = fs::absolute(checkpoint, ignored).lexically_normal().parent_path();
  return folder.filename() == "checkpoints" ? folder.parent_path() : folder;
}

std::optional<fs::path> best_checkpoint(const fs::path& run) {
  const std::string text = small_file(run / "checkpoints" / "best.txt", most_name_bytes);
  const std::string name = text.substr(0, text.find('\n'));
  std::error_code ignored;
  const fs::path checkpoint = run / "checkpoints" / name;
  if (fs::path(name).has_parent_path() || !fs::is_regular_file(checkpoint, ignored)) return std::nullopt;
  return checkpoint;
}

fs::path weights_file(const std::string& flag, const fs::path& given, bool best) {
  std::error_code ignored;
  if (!fs::is_directory(given, ignored)) {
    check_not_set_aside(given);
    check(!nothing_is_at(given), ExitCode::file, "{} {}: there is no such file or folder; {}", flag,
          shown_argument(given.string()), what_has_weights);
    check(!best, ExitCode::usage, "--best: {} {} is a file; give the folder of its run, or leave --best out",
          flag, given.string());
    check_can_be_read(flag, given, what_has_weights);
    check_is_no_classifier(flag, given);
    return given;
  }
  const fs::path file = given / (best ? best_encoder_name : encoder_name);
  std::error_code unreadable;
  if (fs::exists(file, unreadable)) {
    check_can_be_read(flag, file, what_has_weights);
    return file;
  }
  check(!unreadable, ExitCode::file, "{} {}: what is in it cannot be read: {}; check its permissions, or {}",
        flag, given.string(), unreadable.message(), what_has_weights);
  if (best)
    if (const auto checkpoint = best_checkpoint(given)) return *checkpoint;
  check(
      !best || !fs::exists(given / encoder_name, ignored), ExitCode::file,
      "{} has no {}: no epoch of its run has finished, or an earlier version wrote it; leave --best out to use "
      "its {}",
      given.string(), best_encoder_name, encoder_name);
  const fs::path earlier = given / ".kindred-run-earlier";  // as takeover/set_aside.h calls it
  check(!fs::is_directory(earlier, ignored), ExitCode::file,
        "{} has no {}: an --overwrite that has not saved yet, or was killed, has set the earlier run aside in "
        "{}; after a kill the next `pretrain` in {} puts it back",
        given.string(), file.filename().string(), earlier.string(), given.string());
  fail(ExitCode::file, "{} {} has no {}: {}", flag, given.string(), encoder_name, what_has_weights);
}

std::string classifier_file(const std::string& given, bool best) {
  if (given.empty()) return given;
  std::error_code ignored;
  fs::path file = given;
  const bool in_folder = fs::is_directory(given, ignored);
  if (in_folder) {
    file /= best_classifier_name;
    if (!best || !fs::exists(file, ignored)) file.replace_filename(classifier_name);
  }
  check_not_set_aside(file);
  check(!nothing_is_at(file), ExitCode::file, "--classifier {}: {}; {}", given,
        in_folder ? fmt::format("it has no {}", file.filename().string()) : "there is no such file or folder",
        how_to_get_classifier(given));
  check_can_be_read("--classifier", file, how_to_get_classifier(given));
  return file.string();
}

EncoderInfo encoder_info_of(const fs::path& file) {
  if (const auto from_config = info_from_config(file)) return *from_config;
  return read_encoder_info(file);
}

WeightsInfo weights_info_of(const fs::path& file) {
  WeightsInfo info = read_weights_info(file);
  if (!info.assumed) return info;
  if (const auto from_config = info_from_config(file)) {
    info.encoder = *from_config;
    info.assumed = false;
  }
  return info;
}

}  // namespace kindred
