#include <kindred/apps/analysis/mislabeled.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/report/images/sample_galleries.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_wrong_shown = 8, most_right_shown = 6, most_doubts_shown = 24;
constexpr std::int64_t neighbours_shown = 6, neighbours_that_vote = 20;
constexpr int gallery_side = 80, doubt_side = 112;

std::string class_name_of(const ImageTable& table, std::int32_t label) {
  return label >= 0 && static_cast<std::size_t>(label) < table.classes.size()
             ? table.classes[static_cast<std::size_t>(label)]
             : "none of the classes";
}

Image image_for_gallery(const ImageTable& table, std::int64_t row) {
  return table.thumbnails.empty() ? Image() : table.thumbnails[static_cast<std::size_t>(row)];
}

std::string name_in_gallery(const ImageTable& table, std::int64_t row) {
  const std::string& path = table.paths[static_cast<std::size_t>(row)];
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos || slash + 1 == path.size() ? path : path.substr(slash + 1);
}

void add_with_neighbours(const ImageTable& queries, const ImageTable& bank, const Neighbours& neighbours,
                         std::int64_t query, std::int32_t named, std::vector<GalleryPicture>& pictures) {
  const bool has_classes = queries.has_classes() && bank.has_classes();
  const std::int32_t truth = has_classes ? queries.labels[static_cast<std::size_t>(query)] : -1;
  GalleryPicture first{.image = image_for_gallery(queries, query), .name = name_in_gallery(queries, query)};
  first.group = has_classes ? class_name_of(queries, truth) : first.name;
  if (has_classes) {
    first.note = "named " + class_name_of(queries, named);
    first.verdict = named == truth ? Verdict::right : Verdict::wrong;
    if (named != truth) first.group += ", named " + class_name_of(queries, named);
  }
  pictures.push_back(std::move(first));
  const auto rows = neighbours.rows_of(query);
  const auto similarity = neighbours.similarity_of(query);
  for (std::size_t n = 0; n < rows.size() && static_cast<std::int64_t>(n) < neighbours_shown; ++n) {
    if (rows[n] < 0) continue;
    GalleryPicture near{.image = image_for_gallery(bank, rows[n]), .name = name_in_gallery(bank, rows[n])};
    near.note = fmt::format("{:.3f}", similarity[n]);
    if (has_classes) {
      const std::int32_t label = bank.labels[static_cast<std::size_t>(rows[n])];
      near.note = fmt::format("{}, {:.3f}", class_name_of(bank, label), similarity[n]);
      near.verdict = label == truth ? Verdict::right : Verdict::wrong;
    }
    pictures.push_back(std::move(near));
  }
}

}  // namespace

std::vector<std::int64_t> spread_rows(const std::vector<std::int64_t>& rows, std::size_t most) {
  std::vector<std::int64_t> chosen;
  const std::size_t shown = std::min(rows.size(), most);
  for (std::size_t i = 0; i < shown; ++i) chosen.push_back(rows[i * rows.size() / shown]);
  return chosen;
}

std::string neighbour_galleries(const ImageTable& queries, const ImageTable& bank, const Neighbours& neighbours,
                                const std::vector<std::int32_t>& named) {
  const bool has_classes = queries.has_classes() && bank.has_classes();
  std::vector<std::int64_t> wrong, right;
  for (std::int64_t query = 0; query < neighbours.queries(); ++query) {
    const auto q = static_cast<std::size_t>(query);
    (has_classes && named[q] != queries.labels[q] ? wrong : right).push_back(query);
  }
  std::string html =
      "<p>In each row the image itself comes first, then the training images that are nearest to it, with "
      "their cosine";
  html += has_classes
              ? fmt::format("; it is named by the vote of {}.</p>\n", counted(neighbours.each, "neighbour"))
              : ".</p>\n";
  const auto add = [&](const std::vector<std::int64_t>& all, std::size_t most, const char* what) {
    const std::vector<std::int64_t> chosen = spread_rows(all, most);
    if (chosen.empty()) return;
    std::vector<GalleryPicture> pictures;
    for (const std::int64_t query : chosen)
      add_with_neighbours(queries, bank, neighbours, query,
                          has_classes ? named[static_cast<std::size_t>(query)] : -1, pictures);
    html += fmt::format("<h3>{}{} of {}</h3>\n", what, chosen.size(), all.size());
    html += gallery(pictures, gallery_side);
  };
  add(wrong, most_wrong_shown, "Wrong: ");
  add(right, most_right_shown, has_classes ? "Right: " : "Images: ");
  return html;
}

std::string doubtful_labels(const ImageTable& table) {
  if (!table.has_classes() || table.rows() < 2) return "";
  const std::int64_t each = std::min(neighbours_that_vote, table.rows() - 1);
  const Neighbours others = nearest_others(unit_rows(table.features, table.dim), table.dim, each);
  const LabelDoubts doubts = rank_label_doubts(table, others);
  if (doubts.contradicted == 0) return "<p>No label is contradicted by the image's neighbours.</p>\n";
  std::vector<GalleryPicture> pictures;
  for (const LabelDoubt& doubt : doubts.ranked) {
    if (!doubt.is_contradicted() || pictures.size() == most_doubts_shown) break;
    pictures.push_back(
        {.image = image_for_gallery(table, doubt.row),
         .name = name_in_gallery(table, doubt.row),
         .note = fmt::format("{}? labelled {} ({:.0f} % of votes)", class_name_of(table, doubt.rival),
                             class_name_of(table, doubt.label), 100 * doubt.rival_share)});
  }
  return fmt::format(
             "<p>The labels of {} of {} are contradicted by the image's {} nearest neighbours; these {} the "
             "most. An "
             "encoder that was trained with a wrong label may have learned it, so others may be hidden.</p>\n",
             doubts.contradicted, counted(table.rows(), "image"), each, pictures.size()) +
         gallery(pictures, doubt_side);
}

}  // namespace kindred
