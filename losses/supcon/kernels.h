// The raw kernels of the supervised contrastive loss. The caller owns every tensor; every result is overwritten
// in full.
//
// Rows are compared with columns, and row i is column row_offset + i: its self, which no sum includes. Where
// that is outside the columns, the row has no self among them. There is at least one column. Rows and columns
// are the same tensors in the plain loss; they differ where a process holds a part of the anchors, or where a
// queue adds contrasts that are never anchors.
//
// With s_ij = row_i . column_j / T, and lse_i the log of the sum of exp(s_ij) over j, the loss of anchor i is
//   L_i = lse_i - 1/|P(i)| * sum over p in P(i) of s_ip
// and its derivative by the logit s_ij is
//   G_ij = exp(s_ij - lse_i) - [j in P(i)] / |P(i)|           (0 for an anchor without positives).
#pragma once

#include <kindred/losses/supcon/supcon.h>

namespace kindred {

// Some feature rows, and, where they are anchors, what `forward` found for them. Both or neither of the last
// two are defined.
struct SupConRows {
  Tensor features;   // [R, D]
  Tensor labels;     // i32 [R]
  Tensor lse;        // [R], or undefined: these rows are no anchors
  Tensor positives;  // i32 [R], or undefined
};

struct SupConKernels {
  // Fills rows.lse and rows.positives, and losses[R] with L_i (0 without positives). Reads the columns'
  // features and labels only.
  void (*forward)(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset,
                  double temperature, const Tensor& losses);

  // loss[] = scale * sum of losses / n and weight[] = scale / n, the derivative of the loss by each L_i. n is
  // the number of rows, or of rows with a positive; both results are 0 where n is.
  void (*mean)(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
               const Tensor& loss, const Tensor& weight);

  // d_rows[R, D] = upstream[] * weight[] / T * sum over columns j of (G_ij + G_ji) column_j
  //
  // G_ij is there when the rows are anchors, G_ji when the columns are. With the same rows on both sides that
  // is the whole gradient, in one matrix product, and no two rows write to the same place. For contrasts that
  // are no anchors, call it again with the sides swapped and -row_offset.
  void (*backward)(const SupConRows& rows, const SupConRows& columns, std::int64_t row_offset,
                   double temperature, const Tensor& upstream, const Tensor& weight, const Tensor& d_rows);
};
extern const SupConKernels supcon_reference;    // f32, f64
extern const SupConKernels supcon_cpu;          // f32
extern const SupConKernels* const supcon_cuda;  // null in a build without CUDA

const SupConKernels& supcon_kernels(Device device);

}  // namespace kindred
