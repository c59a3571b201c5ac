#include <kindred/apps/analysis/neighbours.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/faiss/faiss.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

namespace kindred {
namespace {

constexpr std::int64_t block_of_queries = 1024;
constexpr std::int64_t asked_beyond = 16;  // so that rows that rounding put behind others are among those found

struct NearRow {
  float cosine = 0;
  std::int32_t row = 0;
  bool operator<(const NearRow& other) const {
    return cosine != other.cosine ? cosine > other.cosine : row < other.row;
  }
};

// One search among one bank, block by block.
class ExactSearch {
 public:
  ExactSearch(std::span<const float> bank, std::span<const float> queries, std::int64_t dim, std::int64_t each)
      : bank_(bank), queries_(queries), dim_(dim), each_(each), rows_(std::ssize(bank) / dim) {
    found_.each = each;
    found_.rows.resize(static_cast<std::size_t>(count() * each));
    found_.similarity.resize(found_.rows.size());
    // What single precision may be wrong by in a sum of `dim` products. Each step errs by at most 2^-24; most errors cancel, so that
    // the sum errs by about the root of their number. This is four times the largest error among 75,000 sums of 512.
    margin_ = 0x1p-24f * (8 + 2 * std::sqrt(static_cast<float>(dim)));
  }

  std::int64_t count() const { return std::ssize(queries_) / dim_; }

  // FAISS names some more rows than are needed. If the last of these may be as near as the last that is needed, others as near
  // may be missing, and the query is compared with all rows.
  void search_block(std::int64_t first, std::int64_t end) {
    const std::vector<std::int64_t> open = search_by_faiss(first, end);
    const std::int64_t tile = queries_of_tile(rows_);
    for (std::int64_t next = 0; next < std::ssize(open); next += tile)
      compare_with_all(std::span(open).subspan(
          static_cast<std::size_t>(next), static_cast<std::size_t>(std::min(tile, std::ssize(open) - next))));
  }

  Neighbours take() { return std::move(found_); }

 private:
  std::span<const float> row_of(std::span<const float> table, std::int64_t row) const {
    return table.subspan(static_cast<std::size_t>(row * dim_), static_cast<std::size_t>(dim_));
  }

  // The same value for the same two rows, wherever they are.
  float cosine(std::int64_t query, std::int64_t row) const {
    const float* a = row_of(queries_, query).data();
    const float* b = row_of(bank_, row).data();
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t d = 0; d < dim_; ++d) sum += double(a[d]) * double(b[d]);
    return static_cast<float>(sum);
  }

  void keep(std::int64_t query, const std::vector<NearRow>& near) {
    for (std::int64_t i = 0; i < each_; ++i) {
      const auto to = static_cast<std::size_t>(query * each_ + i);
      found_.rows[to] = near[static_cast<std::size_t>(i)].row;
      found_.similarity[to] = near[static_cast<std::size_t>(i)].cosine;
    }
  }

  // Returns the queries of which rows may be missing.
  std::vector<std::int64_t> search_by_faiss(std::int64_t first, std::int64_t end) {
    const std::int64_t asked = std::min(rows_, each_ + asked_beyond);
    const auto values = queries_.subspan(static_cast<std::size_t>(first * dim_),
                                         static_cast<std::size_t>((end - first) * dim_));
    const third_party::FoundRows candidates = third_party::search_all_rows(bank_, values, dim_, asked);
    std::vector<char> is_open(static_cast<std::size_t>(end - first));
    parallel_for(end - first, 8, [&](std::int64_t begin, std::int64_t stop) {
      std::vector<NearRow> near;
      for (std::int64_t q = begin; q < stop; ++q) {
        near.clear();
        for (std::int64_t i = 0; i < asked; ++i)
          if (const std::int64_t row = candidates.rows[static_cast<std::size_t>(q * asked + i)]; row >= 0)
            near.push_back({cosine(first + q, row), static_cast<std::int32_t>(row)});
        check(std::ssize(near) == asked, ExitCode::internal, "FAISS found {} of {} rows", near.size(), asked);
        std::sort(near.begin(), near.end());
        const float most_of_others =
            candidates.inner_product[static_cast<std::size_t>((q + 1) * asked - 1)] + margin_;
        if (asked < rows_ && near[static_cast<std::size_t>(each_ - 1)].cosine <= most_of_others)
          is_open[static_cast<std::size_t>(q)] = true;
        else
          keep(first + q, near);
      }
    });
    std::vector<std::int64_t> open;
    for (std::size_t q = 0; q < is_open.size(); ++q)
      if (is_open[q]) open.push_back(first + static_cast<std::int64_t>(q));
    return open;
  }

  // At most a tile of queries. In single precision all rows are compared, and in double precision those that may be among the
  // nearest.
  void compare_with_all(std::span<const std::int64_t> open) {
    std::vector<float> asking;
    for (const std::int64_t query : open) {
      const auto row = row_of(queries_, query);
      asking.insert(asking.end(), row.begin(), row.end());
    }
    tile_similarities(asking, 0, std::ssize(open), bank_, dim_, similarities_);
    parallel_for(std::ssize(open), 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> sorted;
      std::vector<NearRow> near;
      for (std::int64_t q = begin; q < end; ++q) {
        const auto rounded = std::span<const float>(similarities_)
                                 .subspan(static_cast<std::size_t>(q * rows_), static_cast<std::size_t>(rows_));
        sorted.assign(rounded.begin(), rounded.end());
        std::nth_element(sorted.begin(), sorted.begin() + (each_ - 1), sorted.end(), std::greater<>());
        const float least = sorted[static_cast<std::size_t>(each_ - 1)] - 2 * margin_;
        near.clear();
        const std::int64_t query = open[static_cast<std::size_t>(q)];
        for (std::int64_t row = 0; row < rows_; ++row)
          if (rounded[static_cast<std::size_t>(row)] >= least)
            near.push_back({cosine(query, row), static_cast<std::int32_t>(row)});
        check(std::ssize(near) >= each_, ExitCode::internal, "{} rows of {} are near", near.size(), rows_);
        std::partial_sort(near.begin(), near.begin() + each_, near.end());
        keep(query, near);
      }
    });
  }

  const std::span<const float> bank_, queries_;
  const std::int64_t dim_, each_, rows_;
  float margin_ = 0;
  Neighbours found_;
  std::vector<float> similarities_;  // [a tile of queries, rows]
};

}  // namespace

Neighbours nearest(std::span<const float> bank, std::span<const float> queries, std::int64_t dim,
                   std::int64_t each, const SearchProgress& progress) {
  check(dim > 0 && std::ssize(bank) % dim == 0 && std::ssize(queries) % dim == 0, ExitCode::internal,
        "nearest rows: {} and {} values, {} each", bank.size(), queries.size(), dim);
  const std::int64_t rows = std::ssize(bank) / dim;
  check(rows <= std::numeric_limits<std::int32_t>::max(), ExitCode::usage,
        "nearest rows: {} images are more than can be searched at once", rows);
  check(each >= 1 && each <= rows, ExitCode::usage,
        "{} nearest images were asked for; expected 1 to {}, of {} images", each, rows, rows);
  ExactSearch search(bank, queries, dim, each);
  for (std::int64_t first = 0; first < search.count(); first += block_of_queries) {
    const std::int64_t end = std::min(search.count(), first + block_of_queries);
    search.search_block(first, end);
    if (progress) progress(end, search.count());
  }
  return search.take();
}

Neighbours nearest_others(std::span<const float> bank, std::int64_t dim, std::int64_t each,
                          const SearchProgress& progress) {
  check(dim > 0 && std::ssize(bank) % dim == 0, ExitCode::internal, "nearest rows: {} values, {} each",
        bank.size(), dim);
  const std::int64_t rows = std::ssize(bank) / dim;
  check(rows >= 2, ExitCode::data, "{} image: there are no others that could be near it; at least 2 are needed",
        rows);
  check(each >= 1 && each < rows, ExitCode::usage,
        "{} nearest others were asked for; expected 1 to {}, of {} images", each, rows - 1, rows);
  const Neighbours with_itself = nearest(bank, bank, dim, each + 1, progress);
  Neighbours others{.each = each};
  others.rows.reserve(static_cast<std::size_t>(rows * each));
  others.similarity.reserve(others.rows.capacity());
  for (std::int64_t row = 0; row < rows; ++row) {
    std::int64_t taken = 0;  // the row itself may be missing, behind equal ones
    for (std::int64_t i = 0; taken < each; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (with_itself.rows_of(row)[at] == row) continue;
      others.rows.push_back(with_itself.rows_of(row)[at]);
      others.similarity.push_back(std::clamp(with_itself.similarity_of(row)[at], -1.0f, 1.0f));
      ++taken;
    }
  }
  return others;
}

}  // namespace kindred
