// similar duplicates: groups of images that are nearly the same, those across parts of a set first.
#include <kindred/apps/analysis/duplicates.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/similarity/words/finding_table.h>
#include <kindred/apps/similarity/words/words.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t first_compared = 32, most_compared = 512;
constexpr std::int64_t most_groups_on_page = 100, most_in_shown_group = 24;
constexpr std::size_t most_in_printed_group = 10;
constexpr NumberRange duplicate_cosines{"above 0 and at most 1", 1e-6, 1};

// Where many images are equal, more of their neighbours are compared, so that no pair is missing.
Duplicates duplicates_in(const FindingTable& found, float above) {
  std::int64_t each = first_compared;
  Duplicates duplicates = find_duplicates(found.table, others_of(found, each), above);
  while (duplicates.cut_off > 0 && each < most_compared) {
    each *= 4;
    duplicates = find_duplicates(found.table, others_of(found, each), above);
  }
  std::stable_partition(duplicates.groups.begin(), duplicates.groups.end(),
                        [](const DuplicateGroup& group) { return group.crosses_parts; });
  return duplicates;
}

// "3 images, 0.9987 to 1.0000, in several parts, of several classes"
std::string group_text(const DuplicateGroup& group) {
  return fmt::format("{}, {:.4f} to {:.4f}{}{}", counted(group.rows.size(), "image"), group.least, group.most,
                     group.crosses_parts ? ", in several parts" : "",
                     group.crosses_classes ? ", of several classes" : "");
}

std::string duplicates_csv(const ImageTable& table, const Duplicates& duplicates) {
  std::string text = "group,least_similarity,most_similarity,part,class,path\n";
  for (std::size_t g = 0; g < duplicates.groups.size(); ++g) {
    const DuplicateGroup& group = duplicates.groups[g];
    for (const std::int32_t row : group.rows)
      text += fmt::format("{},{},{},{},{},{}\n", g + 1, group.least, group.most, csv_cell(part_in(table, row)),
                          csv_cell(class_in(table, row)), csv_cell(table.paths[static_cast<std::size_t>(row)]));
  }
  return text;
}

std::string group_section(const FindingTable& found, const DuplicateGroup& group) {
  std::vector<GalleryPicture> pictures;
  std::string names_of_others;
  for (const std::int32_t row : group.rows) {
    if (std::ssize(pictures) == most_in_shown_group) {
      names_of_others += html_text(line_in(found.table, row)) + "<br>\n";
      continue;
    }
    pictures.push_back({.image = found.picture(row),
                        .name = found.table.paths[static_cast<std::size_t>(row)],
                        .note = note_in(found.table, row)});
  }
  if (!names_of_others.empty())
    names_of_others = fmt::format("<details><summary>and {} more</summary>\n<p>{}</p></details>\n",
                                  std::ssize(group.rows) - most_in_shown_group, names_of_others);
  return fmt::format("<section class=\"panel\"><h2>{}</h2>\n{}{}</section>\n", html_text(group_text(group)),
                     gallery(pictures), names_of_others);
}

// "all in t.csv", or what would list all.
std::string where_all_are(const FindingFlags& flags) {
  return flags.csv.empty() ? "--csv FILE lists all" : "all in " + one_line(flags.csv);
}

void print_groups(const ImageTable& table, const Duplicates& duplicates, const FindingFlags& flags,
                  double above) {
  const std::vector<DuplicateGroup>& groups = duplicates.groups;
  const std::size_t printed = std::min(groups.size(), static_cast<std::size_t>(flags.list));
  bool is_group_cut = false;
  for (std::size_t g = 0; g < printed; ++g) {
    fmt::print("{}: {}\n", g + 1, group_text(groups[g]));
    const std::vector<std::int32_t>& rows = groups[g].rows;
    // A line that says "and 1 more" would take the place of that one.
    const std::size_t shown = rows.size() <= most_in_printed_group + 1 ? rows.size() : most_in_printed_group;
    for (std::size_t i = 0; i < shown; ++i) fmt::print("  {}\n", line_in(table, rows[i]));
    if (shown == rows.size()) continue;
    fmt::print("  ... and {} more ({})\n", rows.size() - shown, where_all_are(flags));
    is_group_cut = true;
  }
  if (printed < groups.size())
    fmt::print("... and {} ({})\n", counted(groups.size() - printed, "further group"), where_all_are(flags));
  if (is_group_cut && above < 1)
    fmt::print(
        "note: a group holds every image that is near one of its images, so it may become large; raise --above "
        "({} now), and groups become smaller\n",
        above);
}

}  // namespace

int list_duplicates(int argc, char** argv) {
  CommandLine line(
      "Lists images that are nearly the same, in groups, those that lie in several parts of a set first. DIR "
      "may "
      "also be an "
      "index, or the .npz of embed; otherwise give --encoder.",
      "similar duplicates");
  FindingFlags flags;
  double above = 0.98;
  flags.add_to(line, "groups");
  line.add("--above", above, "the least cosine of two images that count as the same")
      .shows_default()
      .within(duplicate_cosines);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.begin(line);
  const FindingTable found = flags.read(false);
  const Duplicates duplicates = duplicates_in(found, static_cast<float>(above));
  const std::string summary =
      fmt::format("{} of {} in {} above {}: {} across parts, {} across classes", duplicates.images,
                  counted(found.table.rows(), "image"), counted(duplicates.groups.size(), "group"), above,
                  duplicates.crossing_parts, duplicates.crossing_classes);
  results_follow();
  fmt::print("{}\n", summary);
  if (duplicates.cut_off > 0)
    fmt::print(
        "warning: {} have more duplicates than the {} that were compared, so groups may be missing pairs; a "
        "higher --above finds "
        "fewer\n",
        counted(duplicates.cut_off, "image"), most_compared);
  print_groups(found.table, duplicates, flags, above);
  if (!flags.csv.empty()) write_csv(flags.csv, duplicates_csv(found.table, duplicates));
  if (!flags.html.empty()) {
    std::string sections;
    for (std::size_t g = 0; g < duplicates.groups.size() && std::cmp_less(g, most_groups_on_page); ++g)
      sections += group_section(found, duplicates.groups[g]);
    write_findings_page(flags.html, "Near-duplicates", found.from + ": " + summary, sections);
  }
  return 0;
}

}  // namespace kindred
