// The folder that a program writes its results to, from its start to its end. Two runs are never mixed, results
// are never replaced silently, and a run without results leaves nothing behind.
#pragma once

#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/takeover/set_aside.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

enum class ExistingRun { refuse, resume, overwrite };

class OutputFolder {
 public:
  // Creates the folder, locks it, and puts right what a killed process left there. Nothing else changes. Throws
  // Error(usage) if it holds results and `existing` does not say what to do with them, or if another process is
  // using it, or if something stands where a run puts its files (check_no_obstacle()); also Error(io).
  OutputFolder(const std::filesystem::path& folder, FolderOf what, ExistingRun existing);
  // For a process that writes nothing, as all but the first of those that train together: it holds no folder, and there is
  // nothing to go on with or to replace.
  OutputFolder();
  // If the earlier results are still set aside, they come back. If there is no result, the files of the new run
  // are removed, except for reports, and so is the folder if it was created here and is empty.
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  // Returns true if the folder holds a run that is to be resumed.
  bool goes_on() const { return goes_on_; }

  // To be called before the first file is written, when everything that can fail was read. Sets earlier results
  // aside and prints a line about it, and one that names what else stays in the folder of a run; files of a start
  // without results are removed. Throws Error(usage) if another process is writing a probe's results inside the
  // folder, and Error(io).
  void take_over();
  // To be called after each save, of a run when its checkpoint is on the disk. The first one removes the earlier results.
  // May be called by another thread.
  void saved();
  // Returns true while earlier results are set aside.
  bool replaces() const { return replaces_; }
  // Returns true while a file of this name is among them: it comes back in the place of a new one.
  bool brings_back(const std::string& name) const;

 private:
  void check_free() const;
  void replace();
  void clean_up() const;
  void remove_made_folders() const;

  const std::filesystem::path folder_;
  const FolderOf what_;
  const ExistingRun existing_;
  const std::vector<std::filesystem::path> made_;  // those that had to be created, the innermost first
  const RunLock lock_;
  SetAside earlier_;
  bool goes_on_ = false;
  bool has_begun_ = false;  // files may have been written
  std::atomic<bool> replaces_{false};
};

// Puts right what a killed process left in the folder that is about to be read, or in that of a file or checkpoint.
// Does nothing while another process is using the folder. Throws Error(io).
void put_right_folder_of(const std::filesystem::path& given);

// Where a file of settings is to be read while nothing was put right yet: if it is the config.json of a folder whose run is
// set aside, and a killed process left it so, the config.json of that run. Changes nothing. Throws Error(usage) if another
// process is replacing the run.
std::filesystem::path place_of_settings(const std::filesystem::path& settings);

// For a file that a program is to write, by this flag, before the work begins. Throws Error(usage) if there is a folder of that
// name (the line advises a name within it, `such_as`), or if it would be one of the files of a run or of a probe's result, also of
// one that is set aside. An empty name is accepted.
void check_output_file(const char* flag, const std::string& file, const std::string& such_as);

}  // namespace kindred
