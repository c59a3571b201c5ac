#include <kindred/apps/analysis/map/eigenvectors.h>
#include <kindred/apps/analysis/map/pca.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/third_party/onednn/onednn.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace kindred {
namespace {

constexpr std::int64_t rows_of_block = 1024, columns_of_tile = 64;

std::vector<float> mean_of(std::span<const float> rows, std::int64_t dim) {
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / dim;
  std::vector<float> mean(static_cast<std::size_t>(dim));
  parallel_for(dim, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(end - begin));
    for (std::int64_t r = 0; r < n; ++r)
      for (std::int64_t c = begin; c < end; ++c)
        sums[static_cast<std::size_t>(c - begin)] += rows[static_cast<std::size_t>(r * dim + c)];
    for (std::int64_t c = begin; c < end; ++c)
      mean[static_cast<std::size_t>(c)] =
          static_cast<float>(sums[static_cast<std::size_t>(c - begin)] / static_cast<double>(n));
  });
  return mean;
}

// oneDNN may cut a product into parts that depend on the number of threads. Within a loop over at least two parts it computes
// each with one thread, and so the same each time.
constexpr std::int64_t least_parts = 2;

// Adds what a block of rows has to the sums of products. block [dim, n]: transposed, centred. Only sums[i, j] with i < the end of
// j's tile are made.
void add_products(const std::vector<float>& block, std::int64_t dim, std::int64_t n,
                  std::vector<double>& sums) {
  const std::int64_t tiles = std::max(least_parts, (dim + columns_of_tile - 1) / columns_of_tile);
  parallel_for(tiles, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> products;
    for (std::int64_t turn = begin; turn < end; ++turn) {
      // Later tiles are larger: early and late ones in turn give all threads as much to do.
      const std::int64_t tile = turn % 2 == 0 ? turn / 2 : tiles - 1 - turn / 2;
      const std::int64_t first = dim * tile / tiles, last = dim * (tile + 1) / tiles, width = last - first;
      if (width == 0) continue;
      products.resize(static_cast<std::size_t>(last * width));
      onednn::sgemm({.m = last, .n = width, .k = n, .transpose_a = false, .transpose_b = true}, block.data(),
                    block.data() + first * n, products.data());
      for (std::int64_t i = 0; i < last; ++i)
        for (std::int64_t j = 0; j < width; ++j)
          sums[static_cast<std::size_t>(i * dim + first + j)] +=
              products[static_cast<std::size_t>(i * width + j)];
    }
  });
}

// The sums of the products of the rows' entries less `centre`, [dim, dim]: floats within a block of rows, doubles beyond.
std::vector<double> products_of_columns(std::span<const float> rows, std::int64_t dim,
                                        const std::vector<float>& centre) {
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / dim;
  std::vector<double> sums(static_cast<std::size_t>(dim * dim));
  std::vector<float> block;
  for (std::int64_t first = 0; first < n; first += rows_of_block) {
    const std::int64_t count = std::min(rows_of_block, n - first);
    block.resize(static_cast<std::size_t>(dim * count));
    parallel_for(dim, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = 0; r < count; ++r)
        for (std::int64_t c = begin; c < end; ++c)
          block[static_cast<std::size_t>(c * count + r)] =
              rows[static_cast<std::size_t>((first + r) * dim + c)] - centre[static_cast<std::size_t>(c)];
    });
    add_products(block, dim, count, sums);
  }
  for (std::int64_t i = 0; i < dim; ++i)
    for (std::int64_t j = 0; j < i; ++j)
      sums[static_cast<std::size_t>(i * dim + j)] = sums[static_cast<std::size_t>(j * dim + i)];
  return sums;
}

// Which of two opposite directions an eigenvector has is chance.
void fix_sign(std::span<float> axis) {
  const auto farthest =
      std::max_element(axis.begin(), axis.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  if (*farthest < 0)
    for (float& entry : axis) entry = -entry;
}

}  // namespace

std::vector<float> PrincipalComponents::of(std::span<const float> rows) const {
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / dim;
  std::vector<float> coordinates(static_cast<std::size_t>(n * count));
  const std::int64_t parts = std::max(least_parts, (n + 255) / 256);
  parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> centred;
    for (std::int64_t part = begin; part < end; ++part) {
      const std::int64_t first = n * part / parts, last = n * (part + 1) / parts;
      if (first == last) continue;
      centred.assign(rows.begin() + first * dim, rows.begin() + last * dim);
      for (std::size_t i = 0; i < centred.size(); ++i) centred[i] -= centre[i % static_cast<std::size_t>(dim)];
      onednn::sgemm({.m = last - first, .n = count, .k = dim, .transpose_a = false, .transpose_b = true},
                    centred.data(), axes.data(), coordinates.data() + first * count);
    }
  });
  return coordinates;
}

PrincipalComponents principal_components(std::span<const float> rows, std::int64_t dim, std::int64_t count,
                                         Centre centre) {
  PrincipalComponents result;
  result.dim = dim;
  result.count = count;
  result.centre =
      centre == Centre::mean ? mean_of(rows, dim) : std::vector<float>(static_cast<std::size_t>(dim));
  const std::vector<double> sums = products_of_columns(rows, dim, result.centre);
  double whole = 0;
  for (std::int64_t i = 0; i < dim; ++i) whole += sums[static_cast<std::size_t>(i * dim + i)];
  const Eigenpairs pairs = leading_eigenpairs(sums, dim, count);
  for (const double value : pairs.values) result.shares.push_back(whole > 0 ? std::max(0.0, value) / whole : 0);
  result.axes.assign(pairs.vectors.begin(), pairs.vectors.end());
  for (std::int64_t i = 0; i < count; ++i)
    fix_sign(std::span(result.axes).subspan(static_cast<std::size_t>(i * dim), static_cast<std::size_t>(dim)));
  return result;
}

}  // namespace kindred
