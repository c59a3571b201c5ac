#include <kindred/apps/explanation/page.h>

#include <fmt/core.h>

#include <sstream>

namespace kindred {

void say(const std::string& line) {
  fmt::print("{}\n", line);
}

// Prints the text in lines of at most 97 characters, after an empty line.
void explain(const std::string& text) {
  std::string line = "\n  ";
  std::istringstream words(text);
  for (std::string word; words >> word; line += " " + word)
    if (line.size() + word.size() > 97) {
      say(line);
      line = "  ";
    }
  say(line);
}

void heading(int number, const std::string& title, const std::string& computed_by) {
  fmt::print("\n{}. {}\n   In the library: {}\n\n", number, title, computed_by);
}

std::string row_name(std::size_t i) {
  return fmt::format("  anchor {:>2}:", i);
}

// A cell of 7 characters holds any value of this page with two decimals, and twelve cells fit into 100 columns.
void print_matrix(const Matrix& matrix, bool hide_diagonal) {
  std::string header(row_name(0).size(), ' ');
  for (std::size_t j = 0; j < matrix.columns; ++j) header += fmt::format("{:>7}", j);
  say(header);
  for (std::size_t i = 0; i < matrix.rows; ++i) {
    std::string line = row_name(i);
    for (std::size_t j = 0; j < matrix.columns; ++j)
      line += hide_diagonal && i == j ? fmt::format("{:>7}", "self") : fmt::format("{:>7.2f}", matrix(i, j));
    say(line);
  }
}

}  // namespace kindred
