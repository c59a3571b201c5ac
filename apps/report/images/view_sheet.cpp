#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/apps/report/images/view_sheet.h>
#include <kindred/apps/training/run/sheet/views_sheet.h>
#include <kindred/data/images/shrink.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_rows_in_page = 8, most_views_in_page = 8;
constexpr int side_on_screen = 96, side_in_page = 112;

}  // namespace

ImageViews views_of_run(const RunFiles& run) {
  const auto size = run.number("image_size"), views = run.number("views");
  const auto recipe = run.config.find("augmentation");
  check(size && *size >= 8 && *size <= 4096 && views && *views >= 1 && *views <= most_views &&
            recipe != run.config.end() && recipe->is_object(),
        ExitCode::file, "config.json does not say how the run makes its views");
  ImageViews made = parse_views(json_text(*recipe), "augmentation in config.json", static_cast<int>(*size),
                                static_cast<int>(*views));
  if (run.text("resize"))
    for (ViewGroup& group : made.groups) group.recipe.resize = parse_resize(*run.text("resize"));
  return made;
}

std::string view_sheet(const Dataset& train, const ImageViews& views, std::uint64_t seed) {
  std::vector<ImageWithViews> rows = views_of_sheet(train, views.groups, seed);
  std::vector<GalleryPicture> pictures;
  const std::size_t shown = std::min(rows.size(), most_rows_in_page);
  for (std::size_t i = 0; i < shown; ++i) {
    const ImageWithViews& row = rows[i * rows.size() / shown];
    const bool has_class = train.origin().has_classes();
    const std::string name = train.name(row.index);
    pictures.push_back(
        {.image = shrink_to(row.image, side_in_page),
         .name = "the image",
         .group = has_class ? train.class_names()[static_cast<std::size_t>(train.label(row.index))] : name});
    for (std::size_t v = 0; v < std::min(row.views.size(), most_views_in_page); ++v)
      pictures.push_back(
          {.image = shrink_to(row.views[v], side_in_page), .name = fmt::format("view {}", v + 1)});
  }
  std::string html;
  for (const ViewGroup& group : views.groups)
    html += fmt::format("<p class=\"soft\">{} of {} pixels: {}</p>\n", counted(group.count, "view"), group.size,
                        html_text(describe(group.recipe)));
  return html + gallery(pictures, side_on_screen);
}

}  // namespace kindred
