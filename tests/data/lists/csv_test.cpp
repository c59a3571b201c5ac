#include "../../errors.h"

#include <doctest/doctest.h>
#include <kindred/data/sets/lists/csv.h>

#include <string>
#include <utility>
#include <vector>

using namespace kindred;
using namespace kindred::test;

namespace {

using Rows = std::vector<std::pair<std::int64_t, std::vector<std::string>>>;

Rows rows_of(const std::string& text) {
  detail::CsvReader reader(text, "a.csv");
  Rows rows;
  for (detail::CsvRow row; reader.next(row);) rows.emplace_back(row.line, row.cells);
  return rows;
}

}  // namespace

TEST_CASE("csv: quotes, line ends of every kind, a byte order mark, spaces and blank lines") {
  CHECK(rows_of("") == Rows{});
  CHECK(rows_of("\n\r\n \n,,\n") == Rows{});
  CHECK(rows_of("\xEF\xBB\xBFpath,label\r\na.jpg , big cat\r\n") ==
        Rows{{1, {"path", "label"}}, {2, {"a.jpg", "big cat"}}});
  CHECK(rows_of("a,b\rc,d\n\ne,f") == Rows{{1, {"a", "b"}}, {2, {"c", "d"}}, {4, {"e", "f"}}});
  CHECK(rows_of("\"a,\r\nb\" , \"c\"\"d\"\ne,") == Rows{{1, {"a,\r\nb", "c\"d"}}, {3, {"e", ""}}});
  CHECK(rows_of("\" a \",x\"y") == Rows{{1, {" a ", "x\"y"}}});  // a quote inside a cell is text
}

TEST_CASE("csv: the first row shows the separator") {
  CHECK(rows_of("a;b\nc,d;e\n") == Rows{{1, {"a", "b"}}, {2, {"c,d", "e"}}});
  CHECK(rows_of("a\tb;c\n") == Rows{{1, {"a", "b;c"}}});
  CHECK(rows_of("a,b;c;d\n") == Rows{{1, {"a", "b;c;d"}}});
  CHECK(rows_of("\n\"a,b\";c\n") == Rows{{2, {"a,b", "c"}}});
}

TEST_CASE("csv: what is no table is refused, with the line") {
  CHECK(
      error_of([] { rows_of("a,b\n\"c,d\n"); }) ==
      "a.csv: line 2: a quote is not closed; add the one at the end of the cell, or remove the one before it");
  CHECK(error_of([] { rows_of("a,b\n\"c\"d,e\n"); }) ==
        "a.csv: line 2: there is text behind a closing quote; a quote inside of quotes is written twice");
  CHECK(error_of([] { rows_of(std::string("a\0,\0b\0", 6)); }) ==
        "a.csv: not a text file; save it as CSV in UTF-8");
  CHECK(code_of([] { rows_of("\""); }) == ExitCode::data);
  CHECK(rows_of("a" + std::string(65535, ',')).at(0).second.size() == 65536);
  CHECK(error_of([] { rows_of("a,b\n" + std::string(65536, ',')); }) ==
        "a.csv: line 2: more than 65536 cells; expected the path of an image and its label");
}
