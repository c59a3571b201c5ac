#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/options/resume_flag.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/shared/saved_so_far.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/engine/communicator/communicator.h>

#include <system_error>
#include <vector>

namespace kindred {

namespace fs = std::filesystem;

std::optional<KnownSave> newest_save(const fs::path& run) {
  const std::vector<fs::path> checkpoints = CheckpointFolder(run, 1).candidates();
  std::error_code ignored;
  if (checkpoints.empty()) return std::nullopt;
  return KnownSave(checkpoints.front(), fs::last_write_time(checkpoints.front(), ignored));
}

std::string advice_after_loss_of(const RunToSave& run) {
  const std::optional<KnownSave> saved = newest_save(run.out);
  if (saved && saved != run.earlier) return advice_to_go_on();
  std::error_code ignored;
  if (!world().is_first() && !fs::exists(run.out, ignored))
    return std::string(advice_to_go_on()) + ", if there is one";
  const bool is_refused_plainly = !run.resumes && !run.overwrites && holds_results(run.out, FolderOf::run);
  return fmt::format("nothing was saved yet, and the same command {}begins anew",
                     is_refused_plainly ? "with --resume " : "");
}

SavedSoFar::SavedSoFar(CommandLine& line) : line_(line) {
  line.read_first("--out", [this](const std::string& text) { out_ = text; });
  line.read_first("--resume", [this](const std::string& text) { resume_ = text; });
}

void SavedSoFar::watch() const {
  RunToSave run{.out = out_,
                .resumes = line_.has("--resume") && resume_ != "false",
                .overwrites = line_.has("--overwrite")};
  if (run.overwrites) run.earlier = newest_save(out_);
  set_advice_after_loss([run, resume = resume_] {
    PretrainOptions named;
    named.out = run.out.string();
    set_resume(named, resume);  // --resume=RUN names the folder too
    RunToSave lost = run;
    lost.out = named.out;
    return advice_after_loss_of(lost);
  });
}

}  // namespace kindred
