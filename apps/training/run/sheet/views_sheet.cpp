#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/metrics/visible_text.h>
#include <kindred/apps/training/run/sheet/tiles.h>
#include <kindred/apps/training/run/sheet/views_sheet.h>
#include <kindred/apps/training/run/takeover/drawn_files.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/views/augment.h>
#include <kindred/data/views/view_stream.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>

#include <fmt/core.h>

#include <algorithm>
#include <exception>

namespace kindred {
namespace {

constexpr int gap_of_cells = 4, gap_behind_image = 12;

int views_of_each(const std::vector<ViewGroup>& groups) {
  int views = 0;
  for (const ViewGroup& group : groups) views += group.count;
  return views;
}

std::vector<Image> first_views(const Image& image, std::int64_t index, const std::vector<ViewGroup>& groups,
                               std::uint64_t seed) {
  const auto views = static_cast<std::size_t>(views_of_each(groups));
  std::vector<Image> shown;
  AugmentScratch scratch;
  for (const ViewGroup& group : groups)
    for (int i = 0; i < group.count && shown.size() < most_views_shown; ++i) {
      RandomStream random = view_stream(seed, 0, static_cast<std::uint32_t>(index), 0, views, shown.size());
      Image view(group.size, group.size);
      make_view(image, group.recipe, group.size, random, view.pixels.data(), scratch);
      shown.push_back(shrink_to(view, most_cell));
    }
  return shown;
}

// Small pictures are enlarged, because nobody recognises an image of 32 pixels on a screen.
int cell_of(const std::vector<ImageWithViews>& rows) {
  int side = 1;
  for (const Image& view : rows.front().views) side = std::max(side, view.height);
  return std::min(most_cell, side * std::max(1, 96 / side));
}

Image drawn_rows(const std::vector<ImageWithViews>& rows, int cell) {
  const int pitch = cell + gap_of_cells, across = static_cast<int>(rows.front().views.size()) + 1;
  Image sheet(gap_of_cells + static_cast<int>(rows.size()) * pitch,
              gap_of_cells + across * pitch + gap_behind_image);
  std::fill(sheet.pixels.begin(), sheet.pixels.end(), std::uint8_t{255});
  int top = gap_of_cells;
  for (const ImageWithViews& row : rows) {
    int left = gap_of_cells;
    put_tile(sheet, top, left, cell, row.image);
    left += gap_behind_image;
    for (const Image& view : row.views) put_tile(sheet, top, left += pitch, cell, view);
    top += pitch;
  }
  return sheet;
}

std::string as_jpeg(const Image& image, int quality) {
  const std::vector<std::uint8_t> bytes = encode_jpeg(image, quality);
  return std::string(bytes.begin(), bytes.end());
}

// The names are indented: Markdown shows such lines as they are.
std::string text_of_sheet(const Dataset& train, const std::vector<ImageWithViews>& rows,
                          const std::vector<ViewGroup>& groups, std::uint64_t seed) {
  const int views = views_of_each(groups);
  const std::size_t shown = rows.front().views.size();
  std::string text = fmt::format(
      "{}{} as the network sees them in the first epoch with seed {}:\n\n", views_sheet_begins,
      shown < static_cast<std::size_t>(views) ? fmt::format("{} of its {} views", shown, views) : "its views",
      seed);
  for (const ViewGroup& group : groups)
    text +=
        fmt::format("- {} of {} pixels: {}\n", group.count, group.size, visible_text(describe(group.recipe)));
  text += "\n\nRows:\n\n";
  constexpr std::size_t most_of_name = 200;  // bytes
  for (const ImageWithViews& row : rows)
    text +=
        fmt::format("    {} ({})\n",
                    visible_text(train.class_names()[static_cast<std::size_t>(train.label(row.index))].substr(
                        0, most_of_name)),
                    visible_text(train.source().id(row.index).substr(0, most_of_name)));
  return text;
}

}  // namespace

std::vector<std::int64_t> images_of_sheet(const Dataset& train) {
  std::vector<std::int64_t> images(static_cast<std::size_t>(train.classes()));  // of each class
  for (const std::int32_t label : train.labels()) ++images[static_cast<std::size_t>(label)];
  std::vector<std::size_t> classes;
  for (std::size_t c = 0; c < images.size(); ++c)
    if (images[c] > 0) classes.push_back(c);
  if (classes.empty()) return {};
  const std::size_t shown = std::min(classes.size(), most_images_shown);
  const auto of_each = static_cast<std::int64_t>(most_images_shown / shown);
  std::vector<std::vector<std::int64_t>> wanted(images.size());  // of each class, which of its images
  for (std::size_t i = 0; i < shown; ++i) {
    const std::size_t c = classes[i * classes.size() / shown];
    const std::int64_t count = std::min(of_each, images[c]);
    for (std::int64_t k = 0; k < count; ++k) wanted[c].push_back(k * images[c] / count);
  }
  std::vector<std::vector<std::int64_t>> found(images.size());
  std::vector<std::int64_t> seen(images.size());
  for (std::int64_t i = 0; i < train.size(); ++i) {
    const auto c = static_cast<std::size_t>(train.label(i));
    if (found[c].size() < wanted[c].size() && seen[c]++ == wanted[c][found[c].size()]) found[c].push_back(i);
  }
  std::vector<std::int64_t> all;
  for (const std::vector<std::int64_t>& of_class : found)
    all.insert(all.end(), of_class.begin(), of_class.end());
  return all;
}

std::vector<ImageWithViews> views_of_sheet(const Dataset& train, const std::vector<ViewGroup>& groups,
                                           std::uint64_t seed) {
  std::vector<ImageWithViews> rows;
  for (const std::int64_t i : images_of_sheet(train)) {
    if (interrupt_signal() != 0) break;
    const Image image = train.load(i).image;
    if (image.empty()) continue;
    rows.push_back({i, shrink_to(image, most_cell), first_views(image, i, groups, seed)});
  }
  return rows;
}

std::string views_sheet(const Dataset& train, const std::vector<ImageWithViews>& rows,
                        const std::vector<ViewGroup>& groups, std::uint64_t seed) {
  if (rows.empty()) return {};
  const std::string text = text_of_sheet(train, rows, groups, seed);
  std::string sheet;
  // Noise takes many bytes, and then smaller or coarser pictures show it as well.
  for (int cell = cell_of(rows); cell > 0; cell /= 2)
    for (const int quality : {88, 75, 60}) {
      sheet = with_text(as_jpeg(drawn_rows(rows, cell), quality), text);
      if (sheet.size() <= most_picture_bytes) return sheet;
    }
  fail(ExitCode::internal, "a sheet of views takes {} bytes", sheet.size());
}

void write_views_sheet(const std::filesystem::path& run, const Dataset& train,
                       const std::vector<ViewGroup>& groups, std::uint64_t seed) {
  const std::filesystem::path file = run / views_sheet_name;
  try {
    if (const std::string warning = warning_of_others(file); !warning.empty()) {
      fmt::print("{}\n", warning);
      return;
    }
    const std::string sheet = views_sheet(train, views_of_sheet(train, groups, seed), groups, seed);
    if (sheet.empty() || interrupt_signal() != 0) return;
    const std::optional<PictureFile> earlier = read_picture(file);
    if (earlier && earlier->jpeg == sheet) return;
    write_file_atomically(file, sheet, system_files_without_links());
  } catch (const std::exception& error) {  // also if there is no memory
    fmt::print("warning: {} was not drawn: {}\n", one_line(file.string()), one_line(error.what()));
  }
}

}  // namespace kindred
