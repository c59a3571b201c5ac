// Tiles of logits that stay in the processor's cache: a matrix product by oneDNN, then vectorised loops over
// its rows.
//
// Each thread takes blocks of rows and walks over all the columns tile by tile. Forward keeps a running
// log-sum-exp, backward makes the tile again (cheaper than to store it) and multiplies it by the columns.
// oneDNN sees that it is called inside a parallel region and then computes on the calling thread alone. Every
// row is written by one thread, so results do not depend on timing.
#include <kindred/engine/parallel.h>
#include <kindred/engine/vector_math.h>
#include <kindred/losses/supcon/kernels.h>
#include <kindred/third_party/onednn.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindred {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

// The largest tile: 128 x 512 floats are 256 KiB, a part of the second-level cache.
constexpr std::int64_t most_rows = 128, most_columns = 512;

struct Tile {
  std::int64_t row, rows;        // first and number
  std::int64_t column, columns;  // likewise
  float* logits;                 // [rows, columns]
};

// Calls body(row, rows, logits) for blocks of rows, on all threads; `logits` is room for one tile of that
// thread.
template <typename Body>
void for_each_block(std::int64_t count, Body&& body) {
  const std::int64_t threads = compute_threads();
  // Small batches: narrower blocks, so that every thread has some.
  const std::int64_t block = std::clamp<std::int64_t>((count + threads - 1) / threads, 16, most_rows);
  const Tensor scratch = Tensor::empty({threads, most_rows * most_columns}, DType::f32, Device::cpu);
  parallel_ranges((count + block - 1) / block, 1, [&](int range, std::int64_t begin, std::int64_t end) {
    float* logits = scratch.data<float>() + range * most_rows * most_columns;
    for (std::int64_t row = begin * block; row < std::min(count, end * block); row += block)
      body(row, std::min(block, count - row), logits);
  });
}

// Calls body(tile) for the tiles of a block, with the logits computed.
template <typename Body>
void for_each_tile(const SupConRows& rows, const SupConRows& columns, double temperature, Tile tile,
                   Body&& body) {
  const std::int64_t dim = rows.features.dim(1), count = columns.features.dim(0);
  const float* row_features = rows.features.data<float>() + tile.row * dim;
  for (tile.column = 0; tile.column < count; tile.column += most_columns) {
    tile.columns = std::min(most_columns, count - tile.column);
    onednn::sgemm(false, true, tile.rows, tile.columns, dim, static_cast<float>(1 / temperature), row_features,
                  dim, columns.features.data<float>() + tile.column * dim, dim, 0, tile.logits, tile.columns);
    body(tile);
  }
}

// ---- forward

KINDRED_VECTOR_CLONES
float sum_of_positives(const float* logits, const std::int32_t* labels, std::int64_t count, std::int32_t label,
                       std::int32_t* positives) {
  float sum = 0;
  std::int32_t found = 0;
#pragma omp simd reduction(+ : sum, found)
  for (std::int64_t j = 0; j < count; ++j) {
    sum += labels[j] == label ? logits[j] : 0.0f;
    found += labels[j] == label ? 1 : 0;
  }
  *positives += found;
  return sum;
}

// What is known of an anchor after some of its contrasts.
struct RunningRow {
  float maximum = -infinity;
  double exponentials = 0;  // sum of exp(s - maximum)
  double positive_logits = 0;
  std::int32_t positives = 0;

  void add(const float* logits, const std::int32_t* labels, std::int64_t count, std::int32_t label) {
    if (count <= 0) return;
    const float higher = std::max(maximum, largest(logits, count));
    exponentials *= std::exp(static_cast<double>(maximum) - higher);
    exponentials += sum_of_exponentials(logits, count, higher);
    maximum = higher;
    positive_logits += sum_of_positives(logits, labels, count, label, &positives);
  }
};

void forward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
             const Tensor& losses) {
  const std::int32_t* row_labels = rows.labels.data<std::int32_t>();
  const std::int32_t* column_labels = columns.labels.data<std::int32_t>();
  for_each_block(losses.numel(), [&](std::int64_t first, std::int64_t count, float* logits) {
    RunningRow running[most_rows];
    for_each_tile(rows, columns, temperature, {first, count, 0, 0, logits}, [&](const Tile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        const float* row = tile.logits + i * tile.columns;
        const std::int32_t* labels = column_labels + tile.column;
        const std::int32_t label = row_labels[tile.row + i];
        // The two parts of the row before and after the anchor itself.
        const std::int64_t self = row_offset + tile.row + i - tile.column;
        if (self < 0 || self >= tile.columns) {
          running[i].add(row, labels, tile.columns, label);
        } else {
          running[i].add(row, labels, self, label);
          running[i].add(row + self + 1, labels + self + 1, tile.columns - self - 1, label);
        }
      }
    });
    for (std::int64_t i = 0; i < count; ++i) {
      const RunningRow& row = running[i];
      const double lse = row.maximum + std::log(row.exponentials);
      rows.lse.data<float>()[first + i] = static_cast<float>(lse);
      rows.positives.data<std::int32_t>()[first + i] = row.positives;
      losses.data<float>()[first + i] =
          row.positives > 0 ? static_cast<float>(lse - row.positive_logits / row.positives) : 0.0f;
    }
  });
}

void mean(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
          const Tensor& loss, const Tensor& weight) {
  supcon_reference.mean(losses, positives, reduction, scale, loss, weight);  // short: one value for each row
}

// ---- backward

// Anchors as the gradient's formula wants them. Rows that are no anchors, or have no positive, get the values
// that make both terms of G vanish: exp(s - inf) = 0, and 0.
struct AnchorTerms {
  explicit AnchorTerms(const SupConRows& rows)
      : lse(Tensor::empty({rows.features.dim(0)}, DType::f32, Device::cpu)), share(Tensor::empty_like(lse)) {
    for (std::int64_t i = 0; i < lse.numel(); ++i) {
      const std::int32_t positives = rows.lse.defined() ? rows.positives.data<std::int32_t>()[i] : 0;
      lse.data<float>()[i] = positives > 0 ? rows.lse.data<float>()[i] : infinity;
      share.data<float>()[i] = positives > 0 ? 1.0f / static_cast<float>(positives) : 0.0f;
    }
  }
  Tensor lse;    // [R]
  Tensor share;  // [R] 1/|P(i)|
};

// One row of a tile, from logits s_ij to G_ij + G_ji.
KINDRED_VECTOR_CLONES
void logits_to_gradients(float* logits, std::int64_t count, const std::int32_t* labels, const float* lse,
                         const float* share, std::int32_t row_label, float row_lse, float row_share) {
#pragma omp simd
  for (std::int64_t j = 0; j < count; ++j) {
    const float softmax = fast_exp(logits[j] - row_lse) + fast_exp(logits[j] - lse[j]);
    logits[j] = softmax - (labels[j] == row_label ? row_share + share[j] : 0.0f);
  }
}

void backward(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset, double temperature,
              const Tensor& upstream, const Tensor& weight, const Tensor& d_rows) {
  const AnchorTerms row_terms(rows), column_terms(columns);
  const std::int64_t dim = d_rows.dim(1);
  const auto factor = static_cast<float>(upstream.data<float>()[0] * weight.data<float>()[0] / temperature);
  for_each_block(d_rows.dim(0), [&](std::int64_t first, std::int64_t count, float* logits) {
    for_each_tile(rows, columns, temperature, {first, count, 0, 0, logits}, [&](const Tile& tile) {
      for (std::int64_t i = 0; i < tile.rows; ++i) {
        float* row = tile.logits + i * tile.columns;
        const std::int64_t r = tile.row + i;
        logits_to_gradients(row, tile.columns, columns.labels.data<std::int32_t>() + tile.column,
                            column_terms.lse.data<float>() + tile.column,
                            column_terms.share.data<float>() + tile.column, rows.labels.data<std::int32_t>()[r],
                            row_terms.lse.data<float>()[r], row_terms.share.data<float>()[r]);
        const std::int64_t self = row_offset + r - tile.column;
        if (self >= 0 && self < tile.columns) row[self] = 0;
      }
      onednn::sgemm(false, false, tile.rows, dim, tile.columns, factor, tile.logits, tile.columns,
                    columns.features.data<float>() + tile.column * dim, dim, tile.column == 0 ? 0.0f : 1.0f,
                    d_rows.data<float>() + tile.row * dim, dim);
    });
  });
}

}  // namespace

const SupConKernels supcon_cpu = {forward, mean, backward};

}  // namespace kindred
