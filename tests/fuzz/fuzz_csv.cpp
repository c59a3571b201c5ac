// Lists of labels: any text gives rows with cells and growing line numbers, or an error.
#include "fuzz_target.h"

#include <kindred/data/sets/lists/columns.h>
#include <kindred/data/sets/lists/csv.h>
#include <kindred/engine/error.h>

#include <string_view>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  try {
    detail::CsvReader reader(text, "fuzz.csv");
    std::int64_t line = 0;
    std::size_t characters = 0;
    for (detail::CsvRow row; reader.next(row);) {
      if (line == 0) {
        const auto columns = detail::find_columns(row, "fuzz.csv", [](const std::string&) { return false; });
        KINDRED_FUZZ_CHECK(columns.path != columns.label && columns.label < columns.count);
      }
      KINDRED_FUZZ_CHECK(row.line > line && !row.cells.empty());
      line = row.line;
      for (const std::string& cell : row.cells) characters += cell.size();
    }
    KINDRED_FUZZ_CHECK(characters <= text.size());
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::data);
  }
}

std::vector<fuzz::Bytes> seeds() {
  std::vector<fuzz::Bytes> all;
  for (const std::string text : {"path,label,split\na/b.jpg,cat,train\n\"c,\"\"d.png\", dog ,val\n",
                                 "\xEF\xBB\xBFid;class\r\n1;x\r\n2;y\r\n", "a.jpg\tx\ra.png\ty"})
    all.emplace_back(text.begin(), text.end());
  return all;
}

}  // namespace

KINDRED_FUZZ_TARGET(csv, run, seeds)
