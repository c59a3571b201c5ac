// similar outliers: images that are like no others, the most distant first.
#include <kindred/apps/analysis/outliers.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/similarity/words/finding_table.h>
#include <kindred/apps/similarity/words/words.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr std::size_t most_outliers_on_page = 200;
constexpr double usual_mark_of_outliers = 3.5;  // outliers.h
constexpr NumberRange outlier_neighbours{"1 to 1000", 1, 1000};

std::string outliers_csv(const ImageTable& table, const Outliers& outliers) {
  std::string text = "rank,distance,z,part,class,path\n";
  for (std::size_t i = 0; i < outliers.ranked.size(); ++i) {
    const Outlier& one = outliers.ranked[i];
    text += fmt::format("{},{},{:.4f},{},{},{}\n", i + 1, one.distance, one.z,
                        csv_cell(part_in(table, one.row)), csv_cell(class_in(table, one.row)),
                        csv_cell(table.paths[static_cast<std::size_t>(one.row)]));
  }
  return text;
}

std::string outliers_gallery(const FindingTable& found, const Outliers& outliers) {
  std::vector<GalleryPicture> pictures;
  for (const Outlier& one : outliers.ranked) {
    if (pictures.size() == most_outliers_on_page) break;
    const std::string note = note_in(found.table, one.row);
    pictures.push_back({.image = found.picture(one.row),
                        .name = found.table.paths[static_cast<std::size_t>(one.row)],
                        .note = fmt::format("{:.4f}{}{}", one.distance, note.empty() ? "" : ", ", note)});
  }
  return gallery(pictures);
}

}  // namespace

int list_outliers(int argc, char** argv) {
  CommandLine line(
      "Lists images that are like no others, the most distant from their neighbours first. DIR may also be an "
      "index, "
      "or the "
      ".npz of embed; otherwise give --encoder.",
      "similar outliers");
  FindingFlags flags;
  std::int64_t neighbours = 10;
  flags.add_to(line, "images");
  line.add("-k,--neighbours", neighbours,
           "the distance of an image is the cosine distance to its N-th nearest other")
      .shows_default()
      .within(outlier_neighbours);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.begin(line);
  const FindingTable found = flags.read(false);
  const Outliers outliers = rank_outliers(others_of(found, neighbours));
  const auto marked =
      std::ranges::count_if(outliers.ranked, [](const Outlier& one) { return one.z > usual_mark_of_outliers; });
  const std::string summary =
      fmt::format("{} of {} are more than {} deviations away from the median distance {:.4f}", marked,
                  counted(found.table.rows(), "image"), usual_mark_of_outliers, outliers.median);
  results_follow();
  fmt::print("{}\n", summary);
  for (std::size_t i = 0; i < outliers.ranked.size() && std::cmp_less(i, flags.list); ++i)
    fmt::print("  {:.4f}  z {:.1f}  {}\n", outliers.ranked[i].distance, outliers.ranked[i].z,
               line_in(found.table, outliers.ranked[i].row));
  if (!flags.csv.empty()) write_csv(flags.csv, outliers_csv(found.table, outliers));
  if (!flags.html.empty())
    write_findings_page(flags.html, "Outliers", found.from + ": " + summary, outliers_gallery(found, outliers));
  return 0;
}

}  // namespace kindred
