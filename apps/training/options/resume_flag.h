// --resume, which may have the path of a run, as in timm and torchvision.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct PretrainOptions;

inline constexpr const char* resume_help =
    "continue the run in --out, or start a new one; --resume=RUN means --out RUN as well";

// Says where a file of settings is to be read, in place of where it was named: the folder of its run may not be as it should
// (run/takeover/output_folder.h). May throw.
using PlaceOfSettings = std::filesystem::path (*)(const std::filesystem::path& settings);
inline std::filesystem::path where_named(const std::filesystem::path& settings) {
  return settings;
}

// True if the text of --resume says which run. It is empty without the flag, and "true" or "false" without a path.
bool names_run(const std::string& text);

// For arguments in their plain form (console/typed_flags.h): if --resume says which run goes on, or without DIR --out
// beside it, the run's config.json is added as --config, because it says what was not typed; but not if --config is
// there. Of "--resume RUN" without --out, RUN is the run if it holds one, and not DIR. Returns true if the file was added.
// Throws, without DIR, Error(usage) if there is no --config, and --resume names a run without such a file, and Error(file)
// if the file of a run is damaged or cannot be read.
bool take_settings_of_run(std::vector<std::string>& plain, PlaceOfSettings place);

// What is left to do, for an error that says that the config.json of this run is damaged.
std::string advice_on_damaged_settings(const std::filesystem::path& run);

// Sets `resume`, and for the path of a run, its folder or one of its checkpoints, `resume_names_run` and `out`. Throws
// Error(usage) if --out says another run, if there is no such checkpoint or it lies in no run, and for an encoder file
// or a folder of checkpoints.
void set_resume(PretrainOptions& options, const std::string& text);

}  // namespace kindred
