// What is left of a run that has lost one of its processes, and so what the same command does next.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>

namespace kindred {

class CommandLine;

// A checkpoint and when it was written.
using KnownSave = std::pair<std::filesystem::path, std::filesystem::file_time_type>;

struct RunToSave {
  std::filesystem::path out{};
  bool resumes = false, overwrites = false;
  std::optional<KnownSave> earlier{};  // of the run that it overwrites
};

// The newest in the folder of a run.
std::optional<KnownSave> newest_save(const std::filesystem::path& run);

// What the same command does now: it goes on from a checkpoint, or begins anew because this run has none yet. Where lines of
// metrics are there already, it does so only with --resume. A process above rank 0 may not see the folder: then its advice
// holds for both.
std::string advice_after_loss_of(const RunToSave& run);

// Gives that advice in the processes of a run, and in the one that starts them, which has no options of its own: it knows the
// folder of the run by the command line. Must live as long as the line parses.
class SavedSoFar {
 public:
  explicit SavedSoFar(CommandLine& line);  // before line.parse()
  void watch() const;                      // after it, and before start_processes()

 private:
  const CommandLine& line_;
  std::string out_, resume_;  // --out, and the text of --resume
};

}  // namespace kindred
