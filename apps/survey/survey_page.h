// What check_data found, as a page: check_data.html.
#pragma once

#include <kindred/apps/survey/survey_pictures.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct SurveyStory {
  std::string data{};     // the set, as it was given
  std::string problem{};  // why training would not accept it; empty if it would
  std::string remarks{};  // a line of text about it all, or empty
  const std::vector<SplitSurvey>& splits;
  const std::vector<OddThing>& odd;
  const SurveySheets& sheets;
};

// Charts and tables of the classes and the sizes, the odd things, and the sheets. Of very much of a kind the page has the
// first part and says so: 5,000 classes, 1,000 odd things, and pictures of two megabytes a sheet.
void write_survey_page(const std::filesystem::path& path, const SurveyStory& story);

}  // namespace kindred
