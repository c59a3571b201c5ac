// NT-Xent, the loss of SimCLR: Chen et al. 2020 (arXiv 2002.05709), equation 1.
//
// It is SupCon's L_out with every image a class of its own, and runs on its kernels: the positives of an anchor
// are the other views of its image; everything else in the batch is a negative. An image that was drawn twice
// is one image: all its views are positives of each other (a false negative otherwise).
#pragma once

#include <kindred/losses/supcon/supcon.h>

namespace kindred {

struct NtXentOptions {
  float temperature = 0.1f;
  int views = 2;
};

// features [views*B, D] view-major, normally of length 1; image_indices i32 [B], not negative, equal for the
// same image. -> scalar. Error(usage) for one view: there are no positives.
Tensor nt_xent(const Tensor& features, const Tensor& image_indices, const NtXentOptions& options = {},
               SupConStatistics* statistics = nullptr);

}  // namespace kindred
