// Results that are being replaced: they stay in hidden folders until the new run has saved a checkpoint, and come back
// if it never does.
//
//   RUN/.kindred-run-moving             while files move there, or back: all of them belong back
//   RUN/.kindred-run-earlier            once all are there: they belong back if the new run has no save
//   RUN/checkpoints/.kindred-run-part   files of a folder inside RUN stay in it: it may be on another disk
//
// linear_probe's are called .kindred-probe-*. Files move by renaming, so each is whole and in one of these places
// at any moment, also when the process is killed.
#pragma once

#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/engine/files/atomic_file.h>

#include <filesystem>
#include <string>

namespace kindred {

class SetAside {
 public:
  SetAside(std::filesystem::path folder, FolderOf what, FileOperations& files = system_files());

  // Returns true if earlier results are set aside, or if a killed process left a hidden folder.
  bool is_there() const;
  // Where the earlier run's file of this name is to be read, before put_right(): hidden, if it belongs back. Of a folder with
  // a save of the new run, or with nothing set aside, it is the one in the folder.
  std::filesystem::path place_of(const std::string& name) const;
  // Where the file of this name is once all are set aside.
  std::filesystem::path hidden_place_of(const std::string& name) const {
    return folder_ / earlier_.outer / name;
  }

  // Sets Kindred's files in the folder aside. Throws Error(io); then they are where they were.
  void move_away();
  // Removes what the new run wrote, and moves the earlier results back. A report on why the new run ended stays
  // if the earlier one has none of that name. Throws Error(io); the next call continues.
  void move_back();
  // Removes the earlier results. What cannot be removed is left to the next start.
  void remove();

  // Decides between the two by whether there is a save of the new run. Returns true if the earlier results came
  // back. Does nothing if there are none. Throws Error(io).
  bool put_right();

 private:
  void move_files(const HidingPlace& from, const HidingPlace& to);
  void rename(const std::filesystem::path& from, const std::filesystem::path& to);
  void remove_new_files();
  void remove_folders(const HidingPlace& place);

  std::filesystem::path folder_;
  FolderOf what_;
  HidingPlace moving_, earlier_;
  FileOperations& files_;
};

}  // namespace kindred
