// Products of tiles, divided as in cuda_tiles.cuh. The features are read again for each tile, from the cache.
#include <kindred/engine/kernels/work.h>
#include <kindred/losses/supcon/areas.h>
#include <kindred/losses/supcon/kernels.h>

namespace kindred {
namespace {

using supcon_areas::divide_up;

const WorkKind forward_kind("supcon.forward"), positives_kind("supcon.positives"),
    backward_kind("supcon.backward"), rows_kind("supcon.rows");

constexpr std::int64_t tile_rows = 128, tile_columns = 64, chunk = 128, depth = 32;

std::int64_t tiles_of_rectangle(std::int64_t rows, std::int64_t columns) {
  return divide_up(rows, tile_rows) * divide_up(columns, tile_columns);
}

// For each tile of rows, the tiles of columns from its own first row on.
std::int64_t tiles_of_triangle(std::int64_t rows) {
  std::int64_t tiles = 0;
  for (std::int64_t first = 0; first < rows; first += tile_rows) tiles += divide_up(rows - first, tile_columns);
  return tiles;
}

// Multiplications and additions of this many tiles, over this many elements of the features.
double operations(std::int64_t tiles, std::int64_t elements) {
  return 2.0 * static_cast<double>(tiles * tile_rows * tile_columns) * static_cast<double>(elements);
}

// Tiles, or quarters of them, are distributed among the multiprocessors of an H200 (areas.h).
double unevenness(std::int64_t tiles) {
  constexpr std::int64_t multiprocessors = supcon_areas::h200_multiprocessors;
  const std::int64_t strips = tiles * supcon_areas::strips_in_tile(tiles, multiprocessors);
  if (strips == 0) return 1.0;
  return static_cast<double>(divide_up(strips, multiprocessors) * multiprocessors) /
         static_cast<double>(strips);
}

std::int64_t in_slices(std::int64_t dim) {
  return divide_up(dim, depth) * depth;
}

// Bytes of a row's running sums (cuda_forward.cuh).
constexpr std::int64_t sums_of_row = 28;

void cap(const Tensor& labels, const Tensor& mask, int, int, Output result) {
  record_work(rows_kind, {.read = bytes_of({labels, mask}), .written = bytes_of({result})});
}

void forward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula, Output losses) {
  const std::int64_t anchors = losses.numel(), contrasts = columns.features.dim(0);
  const bool triangle = anchors == rows.features.dim(0) && same_rows(rows, columns, formula);
  const std::int64_t tiles = triangle ? tiles_of_triangle(anchors) : tiles_of_rectangle(anchors, contrasts);
  const SupConRows others = triangle ? SupConRows() : columns;
  const Work sweep{.read = bytes_of({rows.features, others.features, rows.labels, others.labels, rows.cap,
                                     others.cap, formula.mask}),
                   .written = sums_of_row * anchors,
                   .operations = operations(tiles, in_slices(rows.features.dim(1))),
                   .unevenness = unevenness(tiles)};
  record_work(forward_kind, sweep);
  // The sums are initialized, combined with the parts of rows and in a triangle also of columns, and finally
  // converted to the values that the rows keep. For very many rows these are several launches, whose cost is
  // negligible beside the products.
  const int steps = triangle ? 3 : 2;
  const Work sums{
      .read = steps * sums_of_row * anchors, .written = steps * sums_of_row * anchors, .launches = steps};
  record_work(rows_kind, sums);
  if (formula.denominator == SupConDenominator::one_positive) {
    record_work(rows_kind, {.read = sums_of_row * anchors, .written = bytes_of({rows.lse})});  // log E-
    record_work(positives_kind, sweep);
    record_work(rows_kind, sums);
  }
  record_work(rows_kind, {.read = sums_of_row * anchors,
                          .written = bytes_of({rows.terms, rows.lse, rows.positives, rows.negatives, losses})});
}

void mean(const Tensor& losses, const Tensor& positives, SupConReduction, double, Output loss, Output weight) {
  record_work(rows_kind, {.read = bytes_of({losses, positives}), .written = bytes_of({loss, weight})});
}

// Each chunk of the features' elements computes the logits again.
void backward(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
              const Tensor& upstream, const Tensor& weight, Output d_rows) {
  const std::int64_t dim = d_rows.dim(1), chunks = divide_up(dim, chunk);
  const std::int64_t tiles = tiles_of_rectangle(d_rows.dim(0), columns.features.dim(0));
  record_work(backward_kind,
              {.read = bytes_of({rows.features, columns.features, rows.labels, columns.labels, rows.cap,
                                 columns.cap, rows.terms, columns.terms, formula.mask}),
               .written = bytes_of({d_rows}),
               .operations = operations(tiles, chunks * (in_slices(dim) + chunk)),
               .unevenness = unevenness(tiles)});
  record_work(rows_kind, {.read = bytes_of({d_rows, upstream, weight}), .written = bytes_of({d_rows})});
}

}  // namespace

const SupConKernels supcon_plan = {cap, forward, mean, backward};

}  // namespace kindred
