// The raw kernels of the supervised contrastive loss. The caller owns every tensor. Every result is overwritten
// completely. Features are f32 (f64 on reference).
//
// Rows are compared with columns. Row i and column row_offset + i are the same vector (its self), and no sum
// includes this pair. If that column does not exist, the row's self is not among the columns. There is at least
// one column. In the plain loss rows and columns are the same tensors, and then every logit is computed once.
// They differ if a process holds a part of the anchors, or if a queue adds contrasts that are never anchors.
//
// With s_ij = row_i . column_j / T, anchor i has K positives, the sums E+ and E- of exp(s_ij) over its
// positives and its negatives, and t_p = exp(s_ip) / (exp(s_ip) + E-). Its loss, and the derivative G_ij of the
// loss with respect to s_ij, are
//
//                         loss                          G of a negative        G of a positive
//   out, all              log(E+ + E-) - mean s_ip      e^s / (E+ + E-)        e^s / (E+ + E-) - 1/K
//   out, only_negatives   log E- - mean s_ip            e^s / E-               -1/K
//   out, one_positive     -mean log t_p                 e^s mean(t_p / e^s_p)  -(1 - t_p) / K
//   in, all               log(E+ + E-) - log(E+/K)      e^s / (E+ + E-)        e^s / (E+ + E-) - e^s / E+
//   in, only_negatives    log E- - log(E+/K)            e^s / E-               -e^s / E+
//   in, one_positive      -log mean t_p                 e^s R / Q              -t_p (1 - t_p) / Q
//
// where Q is the sum of t_p and R is the sum of t_p^2 / e^s_p. So the backward pass needs only three numbers
// for each anchor: G of a negative is exp(s - weight), and G of a positive is a function of `second` and
// `share`, see below.
#pragma once

#include <kindred/losses/supcon/supcon.h>

#include <limits>

namespace kindred {

struct SupConFormula {
  double temperature = 0.1;
  SupConVariant variant = SupConVariant::out;
  SupConDenominator denominator = SupConDenominator::all;
  std::int64_t row_offset = 0;
  // u8 [B, B] or undefined. If it is defined, it says which rows and columns are positives of each other,
  // mask[i mod B, j mod B], and labels are not read.
  Tensor mask = {};
  // With a cap, rows and columns are placed on a ring of this size. 0 means no cap.
  std::int64_t ring = 0;
};

// Indices of the rows of the tensor SupConRows::terms.
enum SupConTerm : std::uint8_t {
  supcon_weight,  // see above; infinite for a row that is not an anchor or gets no gradient
  supcon_second,  // log E+ (in: all, only_negatives) or log E- (one_positive), infinite as above; otherwise
                  // unused
  supcon_share,   // 1/K (out), 1 (in: all, only_negatives), log Q (in, one_positive); no_share() for such rows
  supcon_term_count
};

// Indices of the rows of the tensor SupConRows::cap. Row i is at the place b*views + v on the ring, and its
// image begins at b*views. A column at place p that matches i is a positive of i if it lies within reach: (p -
// image) mod ring <= reach.
enum SupConCap : std::uint8_t { supcon_place, supcon_image, supcon_reach, supcon_cap_count };

// A set of feature rows and, if they are anchors, the results of `forward` for them.
struct SupConRows {
  Tensor features = {};   // [R, D]
  Tensor labels = {};     // i32 [R]; undefined with a mask
  Tensor cap = {};        // i32 [supcon_cap_count, R]; undefined without a cap
  Tensor terms = {};      // [supcon_term_count, R]; undefined if these rows are not anchors
  Tensor lse = {};        // [A], see SupConStatistics
  Tensor positives = {};  // i32 [A]
  Tensor negatives = {};  // i32 [A]
};

struct SupConKernels {
  // Fills cap[supcon_cap_count, M] for view-major rows that contain all contrasts.
  void (*cap)(const Tensor& labels, const Tensor& mask, int views, int positives_cap, Output cap);

  // The first A = losses.numel() rows are anchors. Fills losses[A] with L_i (0 if there are no positives),
  // rows.lse, rows.positives and rows.negatives, and rows.terms for all R rows. Of the columns it reads only
  // features, labels and cap.
  void (*forward)(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
                  Output losses);

  // loss[] = scale * sum of losses / n, and weight[] = scale / n is the derivative of the loss with respect to
  // each L_i. n is the number of rows, or of rows with a positive. Both results are 0 if n is 0.
  void (*mean)(const Tensor& losses, const Tensor& positives, SupConReduction reduction, double scale,
               Output loss, Output weight);

  // d_rows[R, D] = upstream[] * weight[] / T * sum over columns j of (G_ij + G_ji) column_j
  //
  // G_ij is included if the rows are anchors, and G_ji if the columns are. With the same rows on both sides
  // this is the whole gradient. For contrasts that are not anchors, call it again with the sides swapped and
  // with -row_offset.
  void (*backward)(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula,
                   const Tensor& upstream, const Tensor& weight, Output d_rows);
};
extern const SupConKernels supcon_reference;    // f32, f64
extern const SupConKernels supcon_cpu;          // f32
extern const SupConKernels supcon_plan;         // see plan.cpp
extern const SupConKernels* const supcon_cuda;  // f32; null in a build without CUDA

const SupConKernels& supcon_kernels(Device device);

// Returns true if rows and columns are the same, so that one logit serves both directions.
bool same_rows(const SupConRows& rows, const SupConRows& columns, const SupConFormula& formula);

// How a row's positives are pulled. It is the same for all pairs of a row, so the kernels branch on it once.
enum class SupConPull : std::uint8_t {
  constant,     // a positive pulls with its share
  exponential,  // share * exp(s - second)
  others,       // share * (1 - t), t = exp(s) / (exp(s) + exp(second))
  product,      // t * (1 - t) / exp(share); computed as a quotient it would leave the range of floats
};

constexpr SupConPull pull_of(SupConVariant variant, SupConDenominator denominator) {
  const bool one = denominator == SupConDenominator::one_positive;
  if (variant == SupConVariant::out) return one ? SupConPull::others : SupConPull::constant;
  return one ? SupConPull::product : SupConPull::exponential;
}

// The share of a row that no positive pulls.
constexpr float no_share(SupConPull pull) {
  return pull == SupConPull::product ? std::numeric_limits<float>::infinity() : 0.0f;
}

}  // namespace kindred
