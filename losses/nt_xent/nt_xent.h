// NT-Xent, the loss of SimCLR: Chen et al. 2020 (arXiv 2002.05709), equation 1.
//
// This is SupCon's L_out with every image as a class of its own, and it runs on SupCon's kernels. The positives
// of an anchor are the other views of its image; everything else in the batch is a negative. An image that was
// drawn twice counts as one image: all its views are positives of each other (otherwise they would be false
// negatives).
#pragma once

#include <kindred/losses/supcon/supcon.h>

namespace kindred {

struct NtXentOptions {
  float temperature = 0.1f;
  int views = 2;
};

// features [views*B, D] view-major, normally of length 1; image_indices i32 [B], not negative, equal for the
// same image -> scalar. Throws Error(usage) for a single view, because then there are no positives.
Tensor nt_xent(const Tensor& features, const Tensor& image_indices, const NtXentOptions& options = {},
               SupConStatistics* statistics = nullptr);

}  // namespace kindred
