// The supervised contrastive loss: Khosla et al. 2020, "Supervised Contrastive Learning" (arXiv 2004.11362),
// equations 2 (L_out) and 3 (L_in), with the variants that the paper compares.
//
//   out   L_i = -1/|P(i)| * sum over p in P(i) of log( exp(z_i.z_p / T) / D_ip )
//   in    L_i = -log( 1/|P(i)| * sum over p in P(i) of exp(z_i.z_p / T) / D_ip )
//
// A(i) are all rows but i, P(i) the rows of A(i) with i's label, N(i) the others. The denominator D_ip runs
// over
//   all              A(i): everything but the anchor, positives included
//   one_positive     N(i) and p
//   only_negatives   N(i)
//
// With every label an image index it is SimCLR's NT-Xent (losses/nt_xent). No N x N matrix is ever built,
// forward or backward (kernels.h). Every edge case stands in docs/losses.md.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>
#include <vector>

namespace kindred {

enum class SupConVariant : std::uint8_t { out, in };
enum class SupConDenominator : std::uint8_t { all, one_positive, only_negatives };

// Which rows are anchors: every view, or the first of each image. All views are contrasts.
enum class SupConContrast : std::uint8_t { all, one };

// Over which anchors the loss is averaged. An anchor without a positive has the loss 0 and gives no gradient.
enum class SupConReduction : std::uint8_t { all_anchors, anchors_with_positives };

struct SupConOptions {
  float temperature = 0.1f;
  // 0: the loss of the paper's equation, unscaled. Otherwise the loss is multiplied by temperature /
  // base_temperature, which scales its gradient too: learning rates do not carry over from one convention to
  // another.
  float base_temperature = 0.0f;
  SupConReduction reduction = SupConReduction::all_anchors;
  // Fails unless every row of the features is finite and of length 1 within 1e-3. Reads the data; on host
  // devices only.
  bool check_unit_length = false;

  SupConVariant variant = SupConVariant::out;
  SupConDenominator denominator = SupConDenominator::all;
  SupConContrast contrast = SupConContrast::all;
  // Views of each image in the rows, which are view-major. Only contrast `one`, a cap and a mask look at it.
  int views = 1;
  // At most this many positives for each anchor, 0 for all: the other views of its own image first, then those
  // of the images after it in the batch (from the last on to the first) that are its positives. A positive
  // beyond the cap is left out: it is no positive, and in no denominator.
  int positives_cap = 0;
};

// What the forward pass knows of every anchor: of the M rows, or with contrast `one` of the first M / views.
// The tensors live on the device of the features.
struct SupConStatistics {
  Tensor lse;  // log of the sum of exp(z_i.z_a / T) over all its positives and negatives; -inf for a lone row
  Tensor positives;      // i32, the number of positives |P(i)|, at most the cap
  Tensor negatives;      // i32, |N(i)|
  Tensor anchor_losses;  // L_i, before base_temperature; 0 where there is no positive

  std::int64_t anchors_without_positives() const;  // waits for the device
};

// features [M, D], one row for each view of each image, normally of length 1 (layers/l2_normalize); view-major:
// row v*B + i is view v of image i. f32, or bf16 or f16, which are widened: all sums are f32's (f64 on
// reference). labels i32 [M], not negative. -> scalar, f32 (f64 where the features are).
Tensor supcon(const Tensor& features, const Tensor& labels, const SupConOptions& options = {},
              SupConStatistics* statistics = nullptr);

// The same with positives given by hand: mask u8 [B, B] for the B = M / options.views images, symmetric. All
// views of the images i and j are positives of each other where mask[i, j] is not 0. Views of an image are
// positives where its place on the diagonal is not 0; a row is never its own.
Tensor supcon_with_mask(const Tensor& features, const Tensor& mask, const SupConOptions& options = {},
                        SupConStatistics* statistics = nullptr);

// Anchors against rows that are no anchors: keys of a momentum encoder, a queue of past features. anchors [A,
// D] with labels i32 [A], contrasts [C, D] with labels i32 [C], which are -1 for rows of no class. Anchor i is
// contrast i + self_offset and not compared with that; with self_offset = C no anchor is among the contrasts.
// Gradients flow to both. With SupConContrast::one the first A / views rows alone are anchors. Error(usage)
// with a cap on positives: it needs to know the images of the contrasts.
Tensor supcon_against(const Tensor& anchors, const Tensor& labels, const Tensor& contrasts,
                      const Tensor& contrast_labels, std::int64_t self_offset,
                      const SupConOptions& options = {}, SupConStatistics* statistics = nullptr);

// Labels i32 [B] -> [views*B]: the labels of view-major rows.
Tensor repeat_labels(const Tensor& labels, int views);

// Labels that make the loss SimCLR's: each image is a class of its own. image_indices i32 [B] -> [views*B]. An
// index that stands in the batch twice is one image drawn twice, and its views are positives of each other.
Tensor simclr_labels(const Tensor& image_indices, int views);

// The loss of `rows` identical features with the denominator `all` and no cap, ln(rows - 1) times the scale in
// use: what a collapsed encoder shows, and about what an untrained one starts at. 0 for a single row.
double collapse_value(std::int64_t rows, const SupConOptions& options = {});

// The same for any options, from the numbers of positives and negatives of a batch's anchors: the mean of
// ln(positives + negatives), of ln(1 + negatives) or of ln(negatives). Waits for the device.
double collapse_value(const SupConStatistics& statistics, const SupConOptions& options);

}  // namespace kindred
