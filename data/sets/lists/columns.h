// Which columns of a list hold an image's path, its label and its split.
#pragma once

#include <kindred/data/sets/lists/csv.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred::detail {

struct ListColumns {
  bool has_header = false;  // the first row names the columns, and lists no image
  std::size_t path = 0, label = 1;
  std::optional<std::size_t> split{};
  std::size_t count = 2;      // of columns; further cells of a row are empty
  std::string description{};  // which columns are read, if that cannot be taken for granted
};

// Finds the columns by the first row of `list`, a file. The row is a header if it names a column for paths (path, file,
// filename, image, image_path, id ...) and one for labels (label, class, target, category), in any letter case; or if
// its first cell neither ends as images do nor is the path of a file, which `is_file` knows. In a header the only other
// column holds the labels, if none is called so; a column called split, set or subset holds the splits. Without a header
// the columns are path, label and, if the third cell is the name of a split, split.
//
// Throws Error(data), which names the columns, if there are several for labels, and for a list in MXNet's form.
ListColumns find_columns(const CsvRow& first, const std::string& list,
                         const std::function<bool(const std::string& path)>& is_file);

}  // namespace kindred::detail
