// The nearest rows of a table of features, by cosine similarity: searched by FAISS, exactly.
//
// FAISS compares in single precision, where the cosine of two rows can differ in its last bits from one call to another. So
// what it finds, and some more, is compared again in double precision and ranked by that: the same rows come out whatever the
// number of threads or queries, and equal rows are equally near.
#pragma once

#include <kindred/apps/evaluation/similarities.h>  // defines: unit_rows

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace kindred {

// For each query its nearest rows, the nearest first; of equal similarities the earlier row first.
struct Neighbours {
  std::int64_t each = 0;             // neighbours of a query
  std::vector<std::int32_t> rows{};  // [queries, each]
  std::vector<float> similarity{};  // [queries, each]: cosines; by rounding a little more than 1 for equal rows

  std::int64_t queries() const { return each > 0 ? static_cast<std::int64_t>(rows.size()) / each : 0; }
  std::span<const std::int32_t> rows_of(std::int64_t query) const {
    return std::span(rows).subspan(static_cast<std::size_t>(query * each), static_cast<std::size_t>(each));
  }
  std::span<const float> similarity_of(std::int64_t query) const {
    return std::span(similarity)
        .subspan(static_cast<std::size_t>(query * each), static_cast<std::size_t>(each));
  }
};

// Called between blocks of queries with the number that is done; it may throw, for example after a signal.
using SearchProgress = std::function<void(std::int64_t done, std::int64_t queries)>;

// bank [rows, dim] and queries [n, dim] have unit length. each: 1 to the number of rows, else Error(usage). Throws Error(usage)
// in a build without FAISS too.
Neighbours nearest(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                   std::int64_t each, const SearchProgress& progress = {});

// The same of each row of the bank among the others, without itself. each: 1 to rows - 1, else Error(usage); Error(data) for a
// bank of a single row, which has no others.
Neighbours nearest_others(std::span<const float> bank, std::int64_t dim, std::int64_t each,
                          const SearchProgress& progress = {});

}  // namespace kindred
