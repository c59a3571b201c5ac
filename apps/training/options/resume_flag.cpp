#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/engine/error.h>

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
    run = run_of_checkpoint(run);
  }
  check(options.out.empty() || as_folder(options.out) == as_folder(run), ExitCode::usage,
        "--resume {} and --out {} are two runs; leave one of them out", text, options.out);
  if (options.out.empty()) options.out = run.string();
}

}  // namespace kindred
