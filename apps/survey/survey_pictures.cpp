#include <kindred/apps/survey/charts/class_chart.h>
#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/charts/size_chart.h>
#include <kindred/apps/survey/survey_pictures.h>

#include <fmt/core.h>

namespace kindred {

std::string readable_images(const SplitSurvey& split) {
  const OutcomeCounts counts = split.counts();
  return fmt::format("{}: {}", split.name, with_commas(counts.ok + counts.damaged));
}

std::string uncounted_images(const std::vector<SplitSurvey>& splits) {
  std::int64_t rejected = 0;
  for (const SplitSurvey& split : splits) rejected += split.counts().rejected;
  if (rejected == 0) return "";
  return rejected == 1 ? "1 unreadable image is not counted"
                       : fmt::format("{} unreadable images are not counted", with_commas(rejected));
}

void draw_survey(const std::vector<SplitSurvey>& splits, const SurveySheets& sheets,
                 const std::filesystem::path& folder) {
  class_chart(count_classes(splits)).save(folder / "classes.png");
  std::vector<std::string> legend;
  for (const SplitSurvey& split : splits) legend.push_back(readable_images(split));
  size_chart(count_sides(splits, Side::shorter, most_size_bins),
             count_sides(splits, Side::longer, most_size_bins), legend, uncounted_images(splits))
      .save(folder / "sizes.png");
  for (std::size_t s = 0; s < splits.size(); ++s)
    draw_sheet(sheets.contacts[s]).save(folder / fmt::format("contact_{}.png", splits[s].name));
  if (sheets.views) draw_sheet(*sheets.views).save(folder / "views.png");
}

}  // namespace kindred
