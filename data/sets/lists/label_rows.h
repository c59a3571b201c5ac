// The rows of a list: which images there are, and what they are labelled.
#pragma once

#include <kindred/data/sets/folders/split_folders.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred::detail {

struct ListedImage {
  std::string path;   // of an existing file, relative to the folder of the set or absolute (listed_files.h)
  std::string label;  // not empty
  SplitRole role = SplitRole::train;
  std::int64_t line = 0;  // of the list
};

struct LabelRows {
  std::vector<ListedImage> images;  // in the order of the list, each once
  bool has_splits = false;          // a column says the role; otherwise all are for training
  std::vector<std::string> notes{};
};

// Reads `list`, a CSV file (csv.h, columns.h). Paths are relative to `dir` unless they are absolute. Throws Error(data),
// which names the first line, for an image that does not exist, a label that is missing, several labels of an image, a
// split of unknown name, and an image in two splits. An image that is listed again with the same label counts once,
// with a note.
LabelRows read_label_rows(const std::filesystem::path& dir, const std::string& list);

// Whether a column of the list says the split. Reads only the first row.
bool list_has_splits(const std::filesystem::path& dir, const std::string& list);

}  // namespace kindred::detail
