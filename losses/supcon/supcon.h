// The supervised contrastive loss: Khosla et al. 2020, "Supervised Contrastive Learning" (arXiv 2004.11362),
// equations 2 (L_out) and 3 (L_in), with the variants that the paper compares.
//
//   out   L_i = -1/|P(i)| * sum over p in P(i) of log( exp(z_i.z_p / T) / D_ip )
//   in    L_i = -log( 1/|P(i)| * sum over p in P(i) of exp(z_i.z_p / T) / D_ip )
//
// A(i) is the set of all rows except i, P(i) the rows of A(i) with i's label, and N(i) the others. The
// denominator D_ip runs over
//   all              A(i): everything but the anchor, positives included
//   one_positive     N(i) and p
//   only_negatives   N(i)
//
// If every label is an image index, this is NT-Xent, the loss of SimCLR (simclr_labels). Neither the forward
// nor the backward pass builds an N x N matrix (kernels.h). docs/losses.md lists every edge case.
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>
#include <vector>

namespace kindred {

enum class SupConVariant : std::uint8_t { out, in };
enum class SupConDenominator : std::uint8_t { all, one_positive, only_negatives };

// Which rows are anchors: every view, or the first view of each image. All views are contrasts.
enum class SupConContrast : std::uint8_t { all, one };

// The anchors over which the loss is averaged. An anchor without a positive has the loss 0 and gives no
// gradient.
enum class SupConReduction : std::uint8_t { all_anchors, anchors_with_positives };

struct SupConOptions {
  float temperature = 0.1f;
  // 0: the unscaled loss of the paper's equation. Otherwise the loss is multiplied by temperature /
  // base_temperature. This scales the gradient too, so learning rates cannot be carried over from one
  // convention to the other.
  float base_temperature = 0.0f;
  SupConReduction reduction = SupConReduction::all_anchors;
  // Throws an error unless every row of the features is finite and has length 1 within 1e-3. Reads the data, so
  // it works on host devices only.
  bool check_unit_length = false;

  SupConVariant variant = SupConVariant::out;
  SupConDenominator denominator = SupConDenominator::all;
  SupConContrast contrast = SupConContrast::all;
  // The number of views of each image; the rows are view-major. Only contrast `one`, a cap and a mask use it.
  int views = 1;
  // The maximum number of positives for each anchor; 0 means all. The other views of its own image come first,
  // then its positives among the following images of the batch (after the last image comes the first). A
  // positive beyond the cap is ignored: it is not a positive, and it is in no denominator.
  int positives_cap = 0;
};

// What the forward pass knows of every anchor: of all M rows, or with contrast `one` of the first M / views.
// The tensors live on the device of the features.
struct SupConStatistics {
  Tensor lse;  // log of the sum of exp(z_i.z_a / T) over all positives and negatives; -inf for a single row
  Tensor positives;      // i32, the number of positives |P(i)|, at most the cap
  Tensor negatives;      // i32, |N(i)|
  Tensor anchor_losses;  // L_i, before base_temperature; 0 if there is no positive

  std::int64_t anchors_without_positives() const;  // waits for the device
};

// features [M, D], one row for each view of each image, normally of length 1 (layers/l2_normalize); view-major:
// row v*B + i is view v of image i. They are f32, bf16 or f16 (converted to f32); sums are computed in f32 (f64
// on reference). labels i32 [M], not negative. -> scalar, f32 (f64 if the features are f64).
Tensor supcon(const Tensor& features, const Tensor& labels, const SupConOptions& options = {},
              SupConStatistics* statistics = nullptr);

// The same with given positives: mask u8 [B, B] for the B = M / options.views images, symmetric. All views of
// the images i and j are positives of each other if mask[i, j] is not 0. The views of one image are positives
// of each other if its diagonal element is not 0. A row is never its own positive.
Tensor supcon_with_mask(const Tensor& features, const Tensor& mask, const SupConOptions& options = {},
                        SupConStatistics* statistics = nullptr);

// Compares anchors with rows that are not anchors: keys of a momentum encoder, or a queue of past features.
// anchors [A, D] with labels i32 [A], contrasts [C, D] with labels i32 [C], which are -1 for rows of no class.
// Anchor i and contrast i + self_offset are the same vector and are not compared; with self_offset = C no
// anchor is among the contrasts. Gradients flow to both. With SupConContrast::one only the first A / views rows
// are anchors. Throws Error(usage) if there is a cap on positives, because a cap needs to know the images of
// the contrasts.
Tensor supcon_against(const Tensor& anchors, const Tensor& labels, const Tensor& contrasts,
                      const Tensor& contrast_labels, std::int64_t self_offset,
                      const SupConOptions& options = {}, SupConStatistics* statistics = nullptr);

// Labels i32 [B] -> [views*B]: the labels of view-major rows.
Tensor repeat_labels(const Tensor& labels, int views);

// Labels that make L_out the loss of SimCLR, NT-Xent (Chen et al. 2020, arXiv 2002.05709, equation 1): each
// image is a class of its own, and its other views are the positives. image_indices i32 [B] -> [views*B]. An
// index that occurs twice in the batch means one image drawn twice; its views are positives of each other.
Tensor simclr_labels(const Tensor& image_indices, int views);

// The loss of `rows` identical features with the denominator `all` and no cap: ln(rows - 1) times the scale in
// use. A collapsed encoder has this loss, and an untrained one starts near it. 0 for a single row.
double collapse_value(std::int64_t rows, const SupConOptions& options = {});

// The same for any options, for an anchor with these numbers of contrasts and of negatives among them, which may be
// averages over a batch: ln(contrasts), ln(1 + negatives) or ln(negatives), depending on the denominator, times the
// scale. 0 if the denominator has no more than one row.
double collapse_value(double contrasts, double negatives, const SupConOptions& options);

// The same for any options, computed from the numbers of positives and negatives of a batch's anchors: the mean
// of ln(positives + negatives), of ln(1 + negatives) or of ln(negatives), depending on the denominator. Waits
// for the device.
double collapse_value(const SupConStatistics& statistics, const SupConOptions& options);

}  // namespace kindred
