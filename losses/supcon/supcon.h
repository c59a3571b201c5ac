// The supervised contrastive loss: Khosla et al. 2020, "Supervised Contrastive Learning" (arXiv 2004.11362),
// L_out of equation 2.
//
//   L_i = -1/|P(i)| * sum over p in P(i) of log( exp(z_i.z_p / T) / sum over a in A(i) of exp(z_i.z_a / T) )
//
// A(i) are all rows but i, P(i) the rows of A(i) with i's label. The denominator runs over everything but the
// anchor, positives included. With every label an image index it is SimCLR's NT-Xent (simclr_labels below).
//
// No N x N matrix is ever built, forward or backward (kernels.h).
#pragma once

#include <kindred/engine/tensor.h>

#include <cstdint>
#include <vector>

namespace kindred {

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
};

// What the forward pass knows of every anchor. The tensors live on the device of the features.
struct SupConStatistics {
  Tensor lse;        // [M] log of the denominator: log sum over A(i) of exp(z_i.z_a / T); -inf for a lone row
  Tensor positives;  // i32 [M] the number of positives |P(i)|
  Tensor anchor_losses;  // [M] L_i, before base_temperature; 0 where there is no positive

  std::int64_t anchors_without_positives() const;  // waits for the device
};

// features [M, D], one row for each view of each image, normally of length 1 (layers/l2_normalize); view-major:
// row v*B + i is view v of image i. labels i32 [M], not negative. -> scalar, in the type of the features (f32;
// f64 on reference).
Tensor supcon(const Tensor& features, const Tensor& labels, const SupConOptions& options = {},
              SupConStatistics* statistics = nullptr);

// labels i32 [B] -> [views*B]: the labels of view-major rows.
Tensor repeat_labels(const Tensor& labels, int views);

// Labels that make the loss SimCLR's: each image is a class of its own. image_indices i32 [B] -> [views*B]. An
// index that stands in the batch twice is one image drawn twice, and its views are positives of each other.
Tensor simclr_labels(const Tensor& image_indices, int views);

// The loss of `rows` identical features, ln(rows - 1) times the scale in use: what a collapsed encoder shows,
// and about what an untrained one starts at. 0 for a single row.
double collapse_value(std::int64_t rows, const SupConOptions& options = {});

}  // namespace kindred
