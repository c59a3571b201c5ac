// Which files of an output folder are Kindred's, by their names (and those that a run draws by what is in them, drawn_files.h),
// and which of them are results. All other files are the user's, and are never moved or removed.
#pragma once

#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/training/run/takeover/drawn_files.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// The folders of a run that hold nothing but files of its own: checkpoints, and what TensorBoard reads (event_folder_name).
inline constexpr const char* folders_of_files[] = {"checkpoints", event_folder_name};
bool is_folder_of_files(const std::filesystem::path& name);

// What an output folder is for: a run of pretrain, or the result of linear_probe.
enum class FolderOf { run, probe };

// Where an output folder's files are: in place (both names empty), or in hidden folders.
struct HidingPlace {
  std::string outer = {};  // the hidden folder inside the output folder
  std::string inner = {};  // the one inside each of its folders: checkpoints/, and those of probes
};

// The path of a file that own_files() returned, at a place.
std::filesystem::path path_at(const std::filesystem::path& folder, const std::filesystem::path& file,
                              const HidingPlace& place);

// Kindred's files in an output folder that are at this place, as paths below the folder. Those of a run include
// its checkpoints, and the files of probes in the folders inside, at any depth. Other folders, and links to folders of
// probes, are left out.
std::vector<std::filesystem::path> own_files(const std::filesystem::path& folder, FolderOf what,
                                             const HidingPlace& place = {});

// The folders inside, at any depth, as paths below the folder, in order: without folders_of_files, Kindred's hidden folders,
// links, and what lies in a folder that holds a run itself.
std::vector<std::string> folders_inside(const std::filesystem::path& folder);

// What stays in the folder when the run's own files are set aside, in order: the user's files, and those of programs that
// read the run. A folder stands for the files in it, at any depth: "pictures/ (12 files)". Left out are folders_of_files, hidden
// files and folders of Kindred's, folders that hold no others, and the file that this program's output goes to.
std::vector<std::string> names_of_others(const std::filesystem::path& run);

// Returns true if there is a line of metrics, an encoder or a checkpoint.
bool holds_run(const std::filesystem::path& folder);
// Returns true if there are both files that every probe ends with, result.json and classifier.safetensors, and they
// are not those of a run that trained its classifier itself (--loss cross_entropy).
bool holds_probe(const std::filesystem::path& folder);
// The same of a folder inside a run's, where also one of the two files counts, if its content is Kindred's.
bool holds_probe_inside(const std::filesystem::path& folder);
// Returns true if there are results that a new run or probe would replace, or mix with its own.
bool holds_results(const std::filesystem::path& folder, FolderOf what);
// Returns true if there is what a new run or probe counts as its save: a checkpoint, from which it can go on, or
// result.json, which is written last. An encoder alone is none: it is written before the checkpoint, which may never follow.
bool holds_save(const std::filesystem::path& folder, FolderOf what);

// Returns true if a run, or a probe, gives this name to a file. Those of a run include the result.json and
// classifier.safetensors that only a run with a classifier has: beside any run they would be taken for its own.
bool is_own_name(const std::string& name, FolderOf what);

// Returns true if the file tells the user why a run ended: non_finite.json, or a bad_images.tsv that lists any.
bool is_report(const std::filesystem::path& file);

// Removes a file, if it is there and was not drawn by others. Throws Error(io).
void remove_own(const std::filesystem::path& file);

// The name of a file that a start would replace although no run of pretrain wrote it, such as another program's
// config.json. Only for folders without a run.
std::optional<std::string> foreign_file_of_start(const std::filesystem::path& folder);

}  // namespace kindred
