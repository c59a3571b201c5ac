// Sheets of pictures with a class in each row: the first images of each class, and augmented views.
#pragma once

#include <kindred/apps/survey/canvas.h>
#include <kindred/apps/survey/survey.h>
#include <kindred/data/views/recipe.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct SheetPicture {
  Image image{};         // at most `cell` pixels wide and high
  std::string name{};    // of its sample, or "view 3"
  bool damaged = false;  // gets a red frame
};

struct SheetRow {
  std::string name{}, note{};  // "cat", "1,300 images"
  std::vector<SheetPicture> pictures{};
};

struct Sheet {
  std::string title{};
  std::vector<std::string> notes{};    // lines of text below the title
  std::vector<std::string> columns{};  // a heading for each column; or empty
  int cell = 96;                       // side of the square that a picture has
  int apart = 0;                       // this many columns stand a little apart from those behind them
  std::vector<SheetRow> rows{};
};

// An image that can no longer be read is left out of both, and a note counts such images.

// The first images of each class, for at most 50 classes, evenly spread.
Sheet contact_sheet(const SplitSurvey& split);

// One image of each class, for at most 12 classes, evenly spread, and its augmented views, which are those of training with
// this seed.
Sheet sheet_of_views(const SplitSurvey& split, const std::vector<ViewGroup>& groups, std::uint64_t seed);

Canvas draw_sheet(const Sheet& sheet);

}  // namespace kindred
