// Cells of a CSV file, as RFC 4180 writes them.
#pragma once

#include <string>
#include <string_view>

namespace kindred {

// The text as a cell: in quotes, and its own quotes doubled, if it holds a comma, a quote or the end of a line.
inline std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string cell = "\"";
  for (const char c : text) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + '"';
}

}  // namespace kindred
