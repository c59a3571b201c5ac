// Images that are nearly the same, found by their features: pairs above a cosine, and the groups that these pairs connect. Copies
// that lie in training and validation at once make an accuracy look better than it is (Barz and Denzler 2020, arXiv 1902.00423).
#pragma once

#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/neighbours.h>

#include <cstdint>
#include <vector>

namespace kindred {

struct DuplicatePair {
  std::int32_t a = 0, b = 0;  // rows, a < b
  float cosine = 0;
};

struct DuplicateGroup {
  std::vector<std::int32_t> rows{};  // at least two, ascending
  float least = 1, most = -1;        // cosines of its pairs
  bool crosses_parts = false;        // images of "train" and of "val", for example
  bool crosses_classes = false;      // at least one of its images has the wrong class, or shows both
};

struct Duplicates {
  std::vector<DuplicatePair> pairs{};                     // the nearest first, then by rows
  std::vector<DuplicateGroup> groups{};                   // the largest first, then by first row
  std::int64_t images = 0;                                // in groups
  std::int64_t crossing_parts = 0, crossing_classes = 0;  // groups
  // Images all of whose neighbours are duplicates, though there are further images: they may have more, of which pairs are
  // missing here, and groups may fall apart. Search more neighbours. Equal images stay together even so.
  std::int64_t cut_off = 0;
};

// The same pixels can give features that differ in their last bits, because an encoder computes batches of other sizes in
// another order. So pairs down to this much below the threshold are taken, and a threshold of 1 finds them.
inline constexpr float rounding_of_cosines = 2e-6f;

// others: nearest_others() of the table's unit rows. threshold: in (0, 1], else Error(usage).
Duplicates find_duplicates(const ImageTable& table, const Neighbours& others, float threshold);

}  // namespace kindred
