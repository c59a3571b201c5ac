#include <kindred/data/images/resample_math.h>
#include <kindred/data/images/resize.h>
#include <kindred/layers/image_input/preparation.h>

#include <algorithm>
#include <cmath>

namespace kindred {
namespace {

// row[j] = sum over the tap's input rows of weight * value, for every byte of the region's rows.
void blend_rows(const Image& image, const Region& region, const FilterTap& tap, const float* weights,
                float* row) {
  const std::size_t bytes = std::size_t(region.width) * 3;
  const std::uint8_t* first = image.pixel(region.top + tap.first, region.left);
  const std::size_t stride = std::size_t(image.width) * 3;
  if (tap.count == 2) {  // when enlarging, this is nearly every row
    const float w0 = weights[0], w1 = weights[1];
    const std::uint8_t* second = first + stride;
    for (std::size_t j = 0; j < bytes; ++j) row[j] = w0 * float(first[j]) + w1 * float(second[j]);
    return;
  }
  const float w0 = weights[0];
  for (std::size_t j = 0; j < bytes; ++j) row[j] = w0 * float(first[j]);
  for (int t = 1; t < tap.count; ++t) {
    const float w = weights[t];
    const std::uint8_t* next = first + stride * std::size_t(t);
    for (std::size_t j = 0; j < bytes; ++j) row[j] += w * float(next[j]);
  }
}

// A weighted mean of bytes is within [0, 255], except for rounding errors, which can add up over millions of
// taps.
inline std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(static_cast<int>(std::min(value, 255.0f)));
}

struct PlaneRows {
  std::uint8_t *red, *green, *blue;
};

// Computes the outputs of `columns`, the first of which is column `first` of a row of `size`.
void blend_columns(const float* row, const ResizeAxis& columns, bool mirror, int size, int first,
                   PlaneRows out) {
  for (int x = first; x < first + static_cast<int>(columns.taps.size()); ++x) {
    const FilterTap& tap = columns.taps[std::size_t(x - first)];
    const float* weights = columns.weights.data() + tap.weights;
    const float* in = row + std::size_t(tap.first) * 3;
    float red = 0.5f, green = 0.5f, blue = 0.5f;  // so that the truncation below rounds
    for (int t = 0; t < tap.count; ++t, in += 3) {
      red += weights[t] * in[0];
      green += weights[t] * in[1];
      blue += weights[t] * in[2];
    }
    const int to = mirror ? size - 1 - x : x;
    out.red[to] = to_byte(red);
    out.green[to] = to_byte(green);
    out.blue[to] = to_byte(blue);
  }
}

}  // namespace

void ResizeAxis::compute(int in, int out, int first, int count) {
  taps.resize(std::size_t(count));
  weights.clear();
  for (int i = 0; i < count; ++i) {
    const Triangle triangle(in, out, first + i);
    FilterTap& tap = taps[std::size_t(i)];
    tap.first = triangle.low;
    tap.count = triangle.high - triangle.low;
    tap.weights = weights.size();
    double sum = 0;
    for (int x = triangle.low; x < triangle.high; ++x) {
      const double weight = triangle.weight(x);
      sum += weight;
      weights.push_back(static_cast<float>(weight));
    }
    const float norm = static_cast<float>(1.0 / sum);
    for (std::size_t t = tap.weights; t < weights.size(); ++t) weights[t] *= norm;
  }
}

void resize_region(const Image& image, const Region& region, int virtual_height, int virtual_width, int top,
                   int left, bool mirror, Planes& out, ResizeScratch& scratch) {
  const int size = out.size;
  // The rows and columns of the square that show the region.
  const int first_row = std::max(0, -top), row_count = std::min(size, virtual_height - top) - first_row;
  const int first_column = std::max(0, -left),
            column_count = std::min(size, virtual_width - left) - first_column;
  if (row_count < size || column_count < size) std::fill(out.values.begin(), out.values.end(), pad_gray);
  scratch.rows.compute(region.height, virtual_height, top + first_row, row_count);
  scratch.columns.compute(region.width, virtual_width, left + first_column, column_count);

  // Columns that the wanted columns do not use need not be blended. (Copies, because the loop below shifts the
  // taps.)
  const FilterTap leftmost = scratch.columns.taps.front();
  const FilterTap rightmost = scratch.columns.taps.back();
  Region needed = region;
  needed.left = region.left + leftmost.first;
  needed.width = rightmost.first + rightmost.count - leftmost.first;
  for (FilterTap& tap : scratch.columns.taps) tap.first -= leftmost.first;

  scratch.row.resize(std::size_t(needed.width) * 3);
  for (int y = 0; y < row_count; ++y) {
    const FilterTap& tap = scratch.rows.taps[std::size_t(y)];
    blend_rows(image, needed, tap, scratch.rows.weights.data() + tap.weights, scratch.row.data());
    const std::size_t at = std::size_t(first_row + y) * std::size_t(size);
    blend_columns(scratch.row.data(), scratch.columns, mirror, size, first_column,
                  {out.plane(0) + at, out.plane(1) + at, out.plane(2) + at});
  }
}

}  // namespace kindred
