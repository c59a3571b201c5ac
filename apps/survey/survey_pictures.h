// The pictures that check_data draws.
#pragma once

#include <kindred/apps/survey/sheets.h>
#include <kindred/apps/survey/survey.h>

#include <filesystem>
#include <optional>
#include <vector>

namespace kindred {

struct SurveySheets {
  std::vector<Sheet> contacts{};  // one for each split
  std::optional<Sheet> views{};
};

// Writes classes.png, sizes.png, contact_<split>.png and views.png into the folder.
void draw_survey(const std::vector<SplitSurvey>& splits, const SurveySheets& sheets,
                 const std::filesystem::path& folder);

// How many images of the split can be read, for legends: "train: 1,300".
std::string readable_images(const SplitSurvey& split);
// "12 unreadable images are not counted"; empty if there are none.
std::string uncounted_images(const std::vector<SplitSurvey>& splits);

}  // namespace kindred
