// Whether a run that is to go on is the run that was started.
#pragma once

#include <kindred/apps/common/pretrain_options.h>
#include <kindred/data/dataset.h>

namespace kindred {

// A number for what a data set holds, as text: classes, labels and the names of the files without their folder,
// so that it stays the same where the set is moved or packed. 16 hexadecimal digits.
std::string data_fingerprint(const Dataset& dataset);

// "lr was 0.1, now 0.5": every setting that decides the course of a run and is another than in RUN/config.json.
std::vector<std::string> changed_settings(const std::filesystem::path& run, const nlohmann::json& now);

}  // namespace kindred
