// The supervised contrastive loss of a batch that is divided among processes: the loss that one process would
// compute for the whole batch, and its whole gradient.
//
// The features and labels of all processes are gathered. Each process compares its own rows with all of them
// (SupConFormula::row_offset) and gathers L_i and the three numbers of each anchor (SupConRows::terms). With
// these it knows G_ij and G_ji of its own rows i and all j (kernels.h), which is all that the gradient of its
// rows consists of. No gradient passes through a gather, and none is added up over processes; so no factor of
// their number arises.
//
// Every process calls these functions with the same options and the same number of rows. Rows are view-major
// on each process, as losses/gathered/gathered.h describes. All get the same loss, bit for bit. `statistics`
// are those of all anchors, in the order in which one process would have them; so options.views must be right
// even where the loss does not depend on it. A cap and the contrast `one` have the meaning that they have for
// the whole batch.
//
// With one process alone these are the functions of supcon.h.
#pragma once

#include <kindred/engine/communicator/communicator.h>
#include <kindred/losses/supcon/supcon.h>

namespace kindred {

// features [views*b, D] and labels i32 [views*b] of the process's own rows, otherwise as for supcon() ->
// scalar. The gradient is that of the whole loss with respect to the own rows.
Tensor supcon_shared(const Communicator& processes, const Tensor& features, const Tensor& labels,
                     const SupConOptions& options = {}, SupConStatistics* statistics = nullptr);

// The same with further contrasts that are no anchors and get no gradient: queue_features [Q, D] in the
// features' type and queue_labels i32 [Q] (-1: of no class), the same on every process. Equal to
// supcon_against(features, labels, features and queue, labels and queue_labels, 0) of one process. Throws
// Error(usage) if there is a cap.
Tensor supcon_with_queue_shared(const Communicator& processes, const Tensor& features, const Tensor& labels,
                                const Tensor& queue_features, const Tensor& queue_labels,
                                const SupConOptions& options = {}, SupConStatistics* statistics = nullptr);

// Compares own anchors [A, D], labels i32 [A], with contrasts [C, D] of which none is an anchor, such as the
// keys of a momentum encoder; they are the same on every process, and get no gradient. Equal to
// supcon_against(all anchors, ..., contrasts, ..., C) of one process. Throws Error(usage) if there is a cap.
Tensor supcon_against_shared(const Communicator& processes, const Tensor& anchors, const Tensor& labels,
                             const Tensor& contrasts, const Tensor& contrast_labels,
                             const SupConOptions& options = {}, SupConStatistics* statistics = nullptr);

}  // namespace kindred
