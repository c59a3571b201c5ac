#include <kindred/data/sets/lists/csv.h>
#include <kindred/data/sets/lists/list_text.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <utility>

namespace kindred::detail {
namespace {

// A cell takes more memory than the separator that makes it, so a file of separators could fill the memory.
constexpr std::size_t most_cells = 65536;

// The separator of the first row that is not blank. The comma goes before the semicolon, because cells of a table
// with commas may hold several labels, "cat;dog".
char find_separator(std::string_view text) {
  bool has_comma = false, has_semicolon = false, is_quoted = false, is_blank = true;
  for (const char c : text) {
    if (c == '"') is_quoted = !is_quoted;
    if (is_quoted) continue;
    if (c == '\t') return '\t';
    if ((c == '\n' || c == '\r') && !is_blank) break;
    has_comma |= c == ',';
    has_semicolon |= c == ';';
    is_blank &= c == '\n' || c == '\r' || c == ' ';
  }
  return !has_comma && has_semicolon ? ';' : ',';
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string path) : text_(text), path_(std::move(path)) {
  check(text_.find('\0') == std::string_view::npos, ExitCode::data,
        "{}: not a text file; save it as CSV in UTF-8", path_);
  if (text_.starts_with(byte_order_mark)) text_.remove_prefix(byte_order_mark.size());
  separator_ = find_separator(text_);
}

void CsvReader::skip_spaces() {
  while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] == '\t' && separator_ != '\t'))) ++at_;
}

void CsvReader::take_line_end() {
  if (at_ == text_.size()) return;
  if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
  ++at_;
  ++line_;
}

std::string CsvReader::read_quoted_cell() {
  const std::int64_t begins = line_;
  std::string cell;
  for (++at_;; ++at_) {
    check(at_ < text_.size(), ExitCode::data,
          "{}: line {}: a quote is not closed; add the one at the end of the cell, or remove the one before it",
          path_, begins);
    const char c = text_[at_];
    if (c == '"') {
      if (at_ + 1 >= text_.size() || text_[at_ + 1] != '"') break;
      ++at_;  // a doubled quote is one
    }
    if (c == '\n' || (c == '\r' && (at_ + 1 >= text_.size() || text_[at_ + 1] != '\n'))) ++line_;
    cell += c;
  }
  ++at_;
  skip_spaces();
  check(at_line_end() || text_[at_] == separator_, ExitCode::data,
        "{}: line {}: there is text behind a closing quote; a quote inside of quotes is written twice", path_,
        line_);
  return cell;
}

std::string CsvReader::read_cell() {
  skip_spaces();
  if (at_ < text_.size() && text_[at_] == '"') return read_quoted_cell();
  const std::size_t begin = at_;
  while (!at_line_end() && text_[at_] != separator_) ++at_;
  std::string_view cell = text_.substr(begin, at_ - begin);
  while (cell.ends_with(' ') || cell.ends_with('\t')) cell.remove_suffix(1);
  return std::string(cell);
}

bool CsvReader::next(CsvRow& row) {
  while (at_ < text_.size()) {
    row.line = line_;
    row.cells.clear();
    row.cells.push_back(read_cell());
    while (at_ < text_.size() && text_[at_] == separator_) {
      check(row.cells.size() < most_cells, ExitCode::data,
            "{}: line {}: more than {} cells; expected the path of an image and its label", path_, row.line,
            most_cells);
      ++at_;
      row.cells.push_back(read_cell());
    }
    take_line_end();
    // Spreadsheets write rows of empty cells below a table.
    const bool is_blank =
        std::all_of(row.cells.begin(), row.cells.end(), [](const std::string& cell) { return cell.empty(); });
    if (!is_blank) return true;
  }
  return false;
}

}  // namespace kindred::detail
