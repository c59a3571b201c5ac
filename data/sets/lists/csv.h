// Reads tables in text: rows of cells, separated by commas, semicolons or tabs.
//
// The form is RFC 4180's, as spreadsheets and pandas write it: a cell in double quotes may hold separators, line ends
// and, doubled, quotes. Lines end with LF, CRLF or CR. A byte order mark of UTF-8 is skipped, and so are blank lines.
// Spaces around a cell are removed, but not those inside its quotes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kindred::detail {

struct CsvRow {
  std::int64_t line = 0;           // where it begins, counted from 1
  std::vector<std::string> cells;  // at least one
};

// Goes through a table row by row, so that only one row is in memory besides the text.
class CsvReader {
 public:
  // `text` must outlive this object; `path` names it in errors. The separator is what the first row has outside of
  // quotes: a tab, else a comma, else a semicolon. Throws Error(data) if the text holds zero bytes, as UTF-16 and
  // the files of spreadsheets do.
  CsvReader(std::string_view text, std::string path);

  // Reads the next row. Returns false at the end. Throws Error(data), which names the line, for a quote that is not
  // closed, for text behind one that is, and for a row of more than 65536 cells.
  bool next(CsvRow& row);

 private:
  std::string read_cell();
  std::string read_quoted_cell();
  void skip_spaces();
  bool at_line_end() const { return at_ == text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }
  void take_line_end();

  std::string_view text_;
  std::string path_;
  char separator_ = ',';
  std::size_t at_ = 0;
  std::int64_t line_ = 1;  // of at_
};

}  // namespace kindred::detail
