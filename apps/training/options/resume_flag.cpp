#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/weight_names.h>

#include <filesystem>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The same for "run", "./run" and "run/".
fs::path as_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::weakly_canonical(fs::absolute(path / "", ignored), ignored);
}

// A damaged file may have been a checkpoint.
bool is_other_weights(const fs::path& path) {
  try {
    return !is_checkpoint(SafetensorsFile(path));
  } catch (const Error&) {
    return false;
  }
}

bool has_settings(const fs::path& run) {
  std::error_code ignored;
  return fs::exists(run / "config.json", ignored);
}

// The run whose folder of checkpoints this is; empty if it is none.
fs::path run_around_checkpoints(const fs::path& path) {
  std::error_code ignored;
  const fs::path folder = fs::absolute(path / "any", ignored).lexically_normal().parent_path();
  const bool is_inside = folder.filename() == "checkpoints" && fs::is_directory(folder, ignored) &&
                         has_settings(folder.parent_path()) && !has_settings(folder);
  if (!is_inside) return {};
  const fs::path typed = path.has_filename() ? path : path.parent_path();  // "run/checkpoints/"
  return typed.filename() == "checkpoints" && typed.has_parent_path() ? typed.parent_path()
                                                                      : folder.parent_path();
}

}  // namespace

bool names_run(const std::string& text) {
  return !text.empty() && text != "true" && text != "false";
}

void set_resume(PretrainOptions& options, const std::string& text) {
  options.resume = !text.empty() && text != "false";
  options.resume_names_run = names_run(text);
  if (!options.resume_names_run) return;
  fs::path run = text;
  std::error_code ignored;
  if (run.extension() == ".safetensors") {
    check(fs::exists(run, ignored), ExitCode::usage,
          "--resume {}: there is no such checkpoint; give one that is there, or the folder of the run", text);
    check(!is_other_weights(run), ExitCode::usage,
          "--resume {}: an encoder cannot be resumed; give it by --weights", text);
    run = run_of_checkpoint(run);
    check(has_settings(run), ExitCode::usage,
          "--resume {}: this checkpoint lies outside its run; put it back beside the config.json of its run, "
          "or give it by --weights",
          text);
  }
  const fs::path around = run_around_checkpoints(run);
  check(around.empty(), ExitCode::usage, "--resume {}: it holds the checkpoints of a run; give --resume={}",
        text, around.string());
  check(options.out.empty() || as_folder(options.out) == as_folder(run), ExitCode::usage,
        "--resume {} and --out {} are two runs; leave one of them out", text, options.out);
  if (options.out.empty()) options.out = run.string();
}

}  // namespace kindred
