// The losses of a run: one function that computes each, and the value to compare it with. loss_flags.h has the
// flags that choose one.
#pragma once

#include <kindred/engine/communicator/communicator.h>
#include <kindred/losses/max_margin/max_margin.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/triplet/triplet.h>

#include <cstdint>
#include <vector>

namespace kindred {

enum class LossKind : std::uint8_t { supcon, nt_xent, triplet, n_pairs, max_margin, cross_entropy };

// Everything that the loss of a step needs. Which members are used depends on the kind.
struct LossOptions {
  LossKind kind = LossKind::supcon;
  SupConOptions supcon;  // nt_xent and n_pairs also use its temperature and views
  TripletOptions triplet;
  MaxMarginOptions max_margin;
  float label_smoothing = 0;
  // Contrasts in addition to the batch's own features.
  std::int64_t queue = 0;      // rows
  bool compares_keys = false;  // compares first views with a momentum encoder's keys of the other views

  // True if rows are positives of each other because of their image and not their class.
  bool by_image() const { return kind == LossKind::nt_xent; }
  // True if the loss has SupCon's formula, whatever defines the positives.
  bool is_softmax() const { return kind == LossKind::supcon || kind == LossKind::nt_xent; }
  // True if the loss compares a classifier's logits with labels, and not features with each other.
  bool classifies() const { return kind == LossKind::cross_entropy; }
};

// features [views*batch, dim] view-major, or logits if the loss classifies; labels i32 [views*batch]: classes,
// or image indices if by_image() -> scalar f32. `statistics` are not changed if the loss is not a softmax.
//
// If the batch is divided among processes, these are the process's own rows (losses/gathered/gathered.h), as
// many on every process. The loss and the statistics are those of the whole batch, the same everywhere, and
// the gradient is that of the whole loss. options.supcon.views is the number of views, whatever the kind.
Tensor loss_of(const Communicator& processes, const Tensor& features, const Tensor& labels,
               const LossOptions& options, SupConStatistics* statistics = nullptr);

// The same of a process that has the whole batch.
Tensor loss_of(const Tensor& features, const Tensor& labels, const LossOptions& options,
               SupConStatistics* statistics = nullptr);

// The loss if all features are equal, against which a run is judged. It is exact for the denominator `all`. For
// the others it is the mean over batches with the expected number of negatives, given `same_class`, the chance
// that two images share a class. For a classifier it is ln(classes), the loss of equal scores.
double collapse_loss(const LossOptions& options, std::int64_t batch, int classes, double same_class);

// The chance that two images of a set with these labels share a class.
double same_class_share(const std::vector<std::int32_t>& labels, int classes);

}  // namespace kindred
