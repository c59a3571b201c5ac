#include <kindred/apps/survey/charts/chart_parts.h>
#include <kindred/apps/survey/lettering.h>
#include <kindred/apps/survey/sheets.h>

#include <algorithm>

namespace kindred {
namespace {

// scripts/draw_pictures.py cuts pictures out of a sheet by these.
constexpr int sheet_margin = 20, sheet_names = 180, sheet_gap = 6, sheet_apart = 12;

constexpr int note_line = 20, least_width = 620;

// Where a column begins.
int left_of(const Sheet& sheet, std::size_t column) {
  const int moved = column >= static_cast<std::size_t>(sheet.apart) ? sheet_apart : 0;
  return sheet_margin + sheet_names + static_cast<int>(column) * (sheet.cell + sheet_gap) +
         (sheet.apart > 0 ? moved : 0);
}

// Breaks the text behind commas into lines of at most `width` pixels. A line without a suitable comma is shortened.
std::vector<std::string> wrapped(const std::string& text, int width) {
  std::vector<std::string> lines(1);
  for (std::size_t begin = 0; begin < text.size();) {
    const auto comma = text.find(", ", begin);
    const auto end = comma == std::string::npos ? text.size() : comma + 2;
    const std::string part = text.substr(begin, end - begin);
    if (!lines.back().empty() && Canvas::written_width(lines.back() + part, label_size) > width)
      lines.emplace_back("    ");
    lines.back() += part;
    begin = end;
  }
  for (std::string& line : lines) line = fitting_line(line, width, label_size);
  return lines;
}

void draw_row_name(Canvas& canvas, const SheetRow& row, int middle) {
  constexpr int width = sheet_names - 14;
  const int name_at = row.note.empty() ? middle : middle - 9;
  canvas.write(name_at, sheet_margin, fitting_line(row.name, width, label_size), {.size = label_size});
  canvas.write(middle + 9, sheet_margin, fitting_line(row.note, width, small_size),
               {.size = small_size, .color = muted});
}

void draw_row(Canvas& canvas, const Sheet& sheet, const SheetRow& row, int top) {
  draw_row_name(canvas, row, top + sheet.cell / 2);
  for (std::size_t column = 0; column < row.pictures.size(); ++column) {
    const SheetPicture& picture = row.pictures[column];
    const int left = left_of(sheet, column);
    canvas.fill(top, left, sheet.cell, sheet.cell, faint);
    canvas.paste(top + (sheet.cell - picture.image.height) / 2, left + (sheet.cell - picture.image.width) / 2,
                 picture.image);
    if (picture.damaged) canvas.frame(top, left, sheet.cell, sheet.cell, 3, red);
  }
}

}  // namespace

Canvas draw_sheet(const Sheet& sheet) {
  std::size_t columns = sheet.columns.size();
  for (const SheetRow& row : sheet.rows) columns = std::max(columns, row.pictures.size());
  const int width = std::max({least_width, left_of(sheet, columns) - sheet_gap + sheet_margin,
                              2 * sheet_margin + Canvas::written_width(sheet.title, title_size)});
  std::vector<std::string> notes;
  for (const std::string& note : sheet.notes)
    for (std::string& line : wrapped(note, width - 2 * sheet_margin)) notes.push_back(std::move(line));
  const int notes_top = sheet_margin + 34, notes_height = static_cast<int>(notes.size()) * note_line;
  const int headings_height = sheet.columns.empty() ? 0 : 24;
  int top = notes_top + notes_height + (notes.empty() ? 0 : 8) + headings_height;
  Canvas canvas(top + static_cast<int>(sheet.rows.size()) * (sheet.cell + sheet_gap) + sheet_margin, width);
  canvas.write(sheet_margin + 10, sheet_margin, sheet.title, {.size = title_size});
  for (std::size_t n = 0; n < notes.size(); ++n)
    canvas.write(notes_top + static_cast<int>(n) * note_line + 6, sheet_margin, notes[n],
                 {.size = label_size, .color = muted});
  for (std::size_t column = 0; column < sheet.columns.size(); ++column)
    canvas.write(top - 12, left_of(sheet, column) + sheet.cell / 2,
                 fitting_line(sheet.columns[column], sheet.cell, label_size),
                 {.size = label_size, .align = Align::centre});
  for (const SheetRow& row : sheet.rows) {
    draw_row(canvas, sheet, row, top);
    top += sheet.cell + sheet_gap;
  }
  return canvas;
}

}  // namespace kindred
