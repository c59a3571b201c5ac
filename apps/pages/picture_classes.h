// The classes of a map as a picture can show them, which has so many looks and no more.
#pragma once

#include <kindred/apps/analysis/image_table.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct PictureClasses {
  std::vector<std::int32_t> labels{};  // [rows]: index into `names`; empty: no image has a class
  // Of the table's classes in their order, those that have a look of their own. Behind them "969 other classes", if others share
  // one, and "(no class)", if images have none.
  std::vector<std::string> names{};
  std::int64_t own = 0;     // of `names`, how many stand for a single class
  std::int64_t shared = 0;  // classes that stand together; 0: none

  // What a reader of the picture must know: "the 31 largest of 1000 classes have a colour and mark of their own, the
  // other 969 share one".
  // Empty if every class has one.
  std::string note() const;
};

// At most `most` (3 or more) names. If there are more classes, those with the most images have a look of their own, of equal ones the
// earlier.
PictureClasses picture_classes(const ImageTable& table, std::size_t most);

}  // namespace kindred
