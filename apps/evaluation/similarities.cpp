#include <kindred/apps/evaluation/similarities.h>
#include <kindred/engine/counted.h>
#include <kindred/third_party/onednn/onednn.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace kindred {
namespace {

constexpr float vote_temperature = 0.07f;
constexpr std::int64_t most_queries = 256;            // so that the similarities of a small table fit the cache
constexpr std::int64_t most_similarities = 64 << 20;  // in floats

}  // namespace

std::string equal_rows_warning(std::span<const float> features, std::int64_t dim, std::string_view so) {
  const auto width = static_cast<std::size_t>(dim);
  const std::size_t rows = dim > 0 ? features.size() / width : 0;
  for (std::size_t row = 1; row < rows; ++row)
    if (!std::ranges::equal(features.subspan(row * width, width), features.first(width))) return "";
  if (rows < 2) return "";
  return fmt::format(
      "warning: the features of all {} are equal, so {}: the images are all the same, or the encoder has collapsed\n",
      counted(static_cast<std::int64_t>(rows), "image"), so);
}

std::vector<float> unit_rows(std::span<const float> features, std::int64_t dim) {
  std::vector<float> rows(features.begin(), features.end());
  for (auto row = rows.begin(); row != rows.end(); row += dim) {
    const auto end = row + dim;
    const double norm = std::sqrt(
        std::accumulate(row, end, 0.0, [](double sum, float x) { return sum + double(x) * double(x); }));
    if (norm > 0) std::transform(row, end, row, [&](float x) { return static_cast<float>(double(x) / norm); });
  }
  return rows;
}

double vote_weight(float cosine) {
  return std::exp((cosine - 1) / vote_temperature);
}

std::int64_t queries_of_tile(std::int64_t rows) {
  return std::clamp<std::int64_t>(most_similarities / std::max<std::int64_t>(rows, 1), 1, most_queries);
}

void tile_similarities(std::span<const float> queries, std::int64_t first, std::int64_t count,
                       std::span<const float> bank, std::int64_t dim, std::vector<float>& similarities) {
  const std::int64_t rows = std::ssize(bank) / dim;
  similarities.resize(static_cast<std::size_t>(queries_of_tile(rows) * rows));
  onednn::sgemm({.m = count, .n = rows, .k = dim, .transpose_b = true}, queries.data() + first * dim,
                bank.data(), similarities.data());
}

void put_nearest_first(std::span<const float> similarities, std::int64_t count,
                       std::vector<std::int64_t>& order) {
  order.resize(similarities.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](std::int64_t a, std::int64_t b) {
    const float of_a = similarities[static_cast<std::size_t>(a)],
                of_b = similarities[static_cast<std::size_t>(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  });
}

}  // namespace kindred
