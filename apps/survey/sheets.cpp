#include <kindred/apps/survey/charts/round_numbers.h>
#include <kindred/apps/survey/sheets.h>
#include <kindred/data/images/shrink.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_contact_rows = 50, contact_columns = 10, most_view_rows = 12;
constexpr int largest_cell = 224, smallest_cell = 64;  // of views
constexpr int contact_cell = 96, least_contact_cell = 48;

// At most `most` of the numbers below `count`, evenly spread.
std::vector<std::size_t> few_of(std::size_t count, std::size_t most) {
  std::vector<std::size_t> chosen;
  const std::size_t shown = std::min(count, most);
  for (std::size_t i = 0; i < shown; ++i) chosen.push_back(i * count / shown);
  return chosen;
}

// The first images of each class that can be decoded.
std::vector<std::vector<std::int64_t>> first_of_classes(const SplitSurvey& split, std::size_t most) {
  std::vector<std::vector<std::int64_t>> chosen(static_cast<std::size_t>(split.set.classes()));
  for (std::int64_t i = 0; i < split.set.size(); ++i) {
    auto& of_class = chosen[static_cast<std::size_t>(split.set.label(i))];
    if (of_class.size() < most && split.samples[static_cast<std::size_t>(i)].outcome != Outcome::rejected)
      of_class.push_back(i);
  }
  return chosen;
}

// The classes that a contact sheet shows: all, or of many only those that have images here.
std::vector<std::size_t> classes_of_sheet(const std::vector<std::vector<std::int64_t>>& images) {
  std::vector<std::size_t> classes;
  for (std::size_t c = 0; c < images.size(); ++c)
    if (images.size() <= most_contact_rows || !images[c].empty()) classes.push_back(c);
  std::vector<std::size_t> shown;
  for (const std::size_t place : few_of(classes.size(), most_contact_rows)) shown.push_back(classes[place]);
  return shown;
}

// Each pixel as a square of `times` pixels.
Image enlarged(const Image& image, int times) {
  Image large(image.height * times, image.width * times);
  for (int y = 0; y < large.height; ++y)
    for (int x = 0; x < large.width; ++x) std::copy_n(image.pixel(y / times, x / times), 3, large.pixel(y, x));
  return large;
}

// Of an image that is not empty: shrunk to the cell; or enlarged by a whole number, so that the pixels of a small image stay what they are.
Image fitted(const Image& image, int cell) {
  const int longer = std::max(image.height, image.width);
  return longer > cell ? shrink_to(image, cell) : longer * 2 <= cell ? enlarged(image, cell / longer) : image;
}

// Small images get small cells, so that they do not lie in the middle of much gray.
int cell_for(const SplitSurvey& split, const std::vector<std::vector<std::int64_t>>& images) {
  int longest = 0;
  for (const auto& of_class : images)
    for (const std::int64_t i : of_class) {
      const SampleFinding& sample = split.samples[static_cast<std::size_t>(i)];
      longest = std::max({longest, sample.height, sample.width});
    }
  return longest == 0 || longest > contact_cell
             ? contact_cell
             : std::max(least_contact_cell, contact_cell / longest * longest);
}

// Since the images were counted a file may have been removed, or a disk have failed.
void note_lost(Sheet& sheet, std::size_t lost) {
  if (lost > 0)
    sheet.notes.push_back(
        fmt::format("left out: {} that could be read before and cannot be now", counted(lost, "image")));
}

std::string shown_of(std::size_t shown, std::size_t all, const char* what) {
  return shown < all ? fmt::format("{} of {}", shown, counted(all, what)) : counted(all, what);
}

// "2 views of 224 x 224 pixels: random crop ..."
std::vector<std::string> descriptions(const std::vector<ViewGroup>& groups) {
  std::vector<std::string> lines;
  for (const ViewGroup& group : groups)
    lines.push_back(fmt::format("{} of {} x {} pixels: {}", counted(group.count, "view"), group.size,
                                group.size, describe(group.recipe)));
  return lines;
}

}  // namespace

Sheet contact_sheet(const SplitSurvey& split) {
  const auto images = first_of_classes(split, contact_columns);
  const std::vector<OutcomeCounts> counts = split.counts_by_class();
  const std::vector<std::size_t> shown = classes_of_sheet(images);
  const char* const unit = split.name == "files" ? "folder" : "class";
  Sheet sheet{.title = fmt::format("{}: the first images of {}", split.name,
                                   shown_of(shown.size(), images.size(), unit))};
  sheet.cell = cell_for(split, images);
  bool any_damaged = false;
  std::size_t lost = 0;
  for (const std::size_t c : shown) {
    SheetRow& row = sheet.rows.emplace_back();
    row.name = split.set.class_names()[c];
    row.note = fmt::format("{} image{}", with_commas(counts[c].files()), counts[c].files() == 1 ? "" : "s");
    if (images[c].empty() && counts[c].files() > 0) row.note += ", none readable";
    for (const std::int64_t i : images[c]) {
      const bool damaged = split.samples[static_cast<std::size_t>(i)].outcome == Outcome::damaged;
      const Image image = split.set.load(i).image;
      if (image.empty()) {
        ++lost;
        continue;
      }
      any_damaged |= damaged;
      row.pictures.push_back({fitted(image, sheet.cell), split.set.name(i), damaged});
    }
  }
  if (any_damaged) sheet.notes.emplace_back("red frame: damaged");
  note_lost(sheet, lost);
  return sheet;
}

Sheet sheet_of_views(const SplitSurvey& split, const std::vector<ViewGroup>& groups, std::uint64_t seed) {
  const auto images = first_of_classes(split, 1);
  const std::vector<std::size_t> shown = few_of(images.size(), most_view_rows);
  int largest = 1;
  for (const ViewGroup& group : groups) largest = std::max(largest, group.size);
  Sheet sheet{.title = fmt::format("Views as the network sees them, {}",
                                   shown_of(shown.size(), images.size(), "class")),
              .notes = descriptions(groups),
              .columns = {"original"},
              .cell = std::clamp(largest, smallest_cell, largest_cell),
              .apart = 1};
  for (const ViewGroup& group : groups)
    for (int repeat = 0; repeat < group.count; ++repeat)
      sheet.columns.push_back(fmt::format("view {}", sheet.columns.size()));
  const int times = std::max(1, sheet.cell / largest);  // one for all views, so that small ones look smaller
  AugmentScratch scratch;
  std::size_t lost = 0;
  for (const std::size_t c : shown) {
    if (images[c].empty()) continue;
    const std::int64_t i = images[c].front();
    const Image image = split.set.load(i).image;
    if (image.empty()) {
      ++lost;
      continue;
    }
    SheetRow& row = sheet.rows.emplace_back(SheetRow{.name = split.set.class_names()[c]});
    row.pictures.push_back({.image = fitted(image, sheet.cell), .name = split.set.name(i)});
    std::uint32_t v = 0;
    for (const ViewGroup& group : groups)
      for (int repeat = 0; repeat < group.count; ++repeat) {
        RandomStream random(seed, Purpose::augment, 0, static_cast<std::uint32_t>(i), v++);
        Image view(group.size, group.size);
        make_view(image, group.recipe, group.size, random, view.pixels.data(), scratch);
        row.pictures.push_back({.image = shrink_to(times > 1 ? enlarged(view, times) : view, sheet.cell),
                                .name = sheet.columns[row.pictures.size()]});
      }
  }
  note_lost(sheet, lost);
  return sheet;
}

}  // namespace kindred
