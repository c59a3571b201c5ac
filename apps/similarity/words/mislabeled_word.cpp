// similar mislabeled: images whose class their neighbours contradict, the clearest first.
#include <kindred/apps/analysis/mislabeled.h>
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
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t most_doubts_on_page = 100, voters_shown = 6;
constexpr NumberRange voting_neighbours{"1 to 1000", 1, 1000}, silent_cosines{"0 (all vote) to 1", 0, 1};

const std::string& rival_of(const ImageTable& table, const LabelDoubt& doubt) {
  return table.classes[static_cast<std::size_t>(doubt.rival)];
}

// "cat, but its neighbours say dog (0.91 to 0.05)"
std::string doubt_text(const ImageTable& table, const LabelDoubt& doubt) {
  return fmt::format("{}, but its neighbours say {} ({:.2f} to {:.2f})", class_in(table, doubt.row),
                     rival_of(table, doubt), doubt.rival_share, doubt.own_share);
}

std::string doubts_csv(const ImageTable& table, const LabelDoubts& doubts) {
  std::string text = "rank,margin,class,class_share,rival,rival_share,part,path\n";
  for (std::size_t i = 0; i < doubts.ranked.size(); ++i) {
    const LabelDoubt& doubt = doubts.ranked[i];
    text += fmt::format(
        "{},{:.6f},{},{:.6f},{},{:.6f},{},{}\n", i + 1, doubt.margin(), csv_cell(class_in(table, doubt.row)),
        doubt.own_share, doubt.rival < 0 ? "" : csv_cell(rival_of(table, doubt)), doubt.rival_share,
        csv_cell(part_in(table, doubt.row)), csv_cell(table.paths[static_cast<std::size_t>(doubt.row)]));
  }
  return text;
}

std::string doubt_section(const FindingTable& found, const Neighbours& others, const LabelDoubt& doubt) {
  const ImageTable& table = found.table;
  std::vector<GalleryPicture> pictures{{.image = found.picture(doubt.row),
                                        .name = table.paths[static_cast<std::size_t>(doubt.row)],
                                        .note = note_in(table, doubt.row),
                                        .verdict = Verdict::wrong,
                                        .group = "labelled " + class_in(table, doubt.row)}};
  for (std::size_t i = 0; i < others.rows_of(doubt.row).size() && std::cmp_less(i, voters_shown); ++i) {
    const std::int32_t row = others.rows_of(doubt.row)[i];
    pictures.push_back(
        {.image = found.picture(row),
         .name = table.paths[static_cast<std::size_t>(row)],
         .note = fmt::format("{:.4f}, {}", others.similarity_of(doubt.row)[i], class_in(table, row)),
         .group = i == 0 ? "nearest" : ""});
  }
  return fmt::format("<section class=\"panel\"><h2>{}</h2>\n{}</section>\n",
                     html_text(doubt_text(table, doubt)), gallery(pictures));
}

}  // namespace

int list_mislabeled(int argc, char** argv) {
  CommandLine line(
      "Lists images whose class their neighbours contradict, the clearest first. DIR may also be an index, or "
      "the .npz "
      "of "
      "embed; otherwise give --encoder.",
      "similar mislabeled");
  FindingFlags flags;
  std::int64_t neighbours = 20;
  double silent_above = 0;
  flags.add_to(line, "images");
  line.add("-k,--neighbours", neighbours, "nearest others that vote, each with the weight exp(cosine / 0.07)")
      .shows_default()
      .within(voting_neighbours);
  line.add("--silent-above", silent_above,
           "neighbours of the same class that are nearer than this cosine have no vote: copies that were given "
           "the "
           "same wrong class would outvote the others")
      .shows_default()
      .within(silent_cosines);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.begin(line);
  const FindingTable found = flags.read(true);
  const Neighbours others = others_of(found, neighbours);
  const LabelDoubts doubts =
      rank_label_doubts(found.table, others, {.silent_above = static_cast<float>(silent_above)});
  const std::string summary =
      fmt::format("the neighbours of {} of {} say another class; a look decides which are labelled wrongly",
                  doubts.contradicted, counted(found.table.rows(), "image"));
  results_follow();
  fmt::print("{}\n", summary);
  const auto shown = [&](std::int64_t most) {
    return static_cast<std::size_t>(std::min(doubts.contradicted, most));
  };
  for (std::size_t i = 0; i < shown(flags.list); ++i) {
    const LabelDoubt& doubt = doubts.ranked[i];
    fmt::print("  {}: {}\n", one_line(found.table.paths[static_cast<std::size_t>(doubt.row)]),
               one_line(doubt_text(found.table, doubt)));
  }
  if (!flags.csv.empty()) write_csv(flags.csv, doubts_csv(found.table, doubts));
  if (!flags.html.empty()) {
    std::string sections;
    for (std::size_t i = 0; i < shown(most_doubts_on_page); ++i)
      sections += doubt_section(found, others, doubts.ranked[i]);
    write_findings_page(flags.html, "Doubtful labels", found.from + ": " + summary, sections);
  }
  return 0;
}

}  // namespace kindred
