// The formula, triplet by triplet.
#include <kindred/engine/kernels/dispatch.h>
#include <kindred/losses/triplet/kernels.h>

#include <vector>

namespace kindred {
namespace {

template <typename T>
void terms(const Tensor& labels, const TripletOptions& options, std::int64_t first, Output distances,
           bool derive, Output losses, Output counts) {
  const std::int64_t rows = distances.dim(1);
  const std::int32_t* label = labels.data<std::int32_t>();
  const T margin = static_cast<T>(options.margin);
  for (std::int64_t i = 0; i < distances.dim(0); ++i) {
    const std::int64_t anchor = first + i;
    T* q = distances.data<T>() + i * rows;
    std::vector<T> derivatives(static_cast<std::size_t>(rows), T{0});
    T loss = 0, count = 0;
    const auto take = [&](std::int64_t p, std::int64_t n) {
      const T term = q[p] - q[n] + margin;
      const bool chosen = options.mining != TripletMining::semi_hard || (q[n] > q[p] && term > 0);
      if (!chosen) return;
      if (options.reduction == TripletReduction::chosen || term > 0) count += 1;
      if (term <= 0) return;
      loss += term;
      derivatives[static_cast<std::size_t>(p)] += 1;
      derivatives[static_cast<std::size_t>(n)] -= 1;
    };
    const auto is_positive = [&](std::int64_t j) { return j != anchor && label[j] == label[anchor]; };
    const auto is_negative = [&](std::int64_t j) { return label[j] != label[anchor]; };
    if (options.mining == TripletMining::batch_hard) {
      std::int64_t farthest = -1, nearest = -1;
      for (std::int64_t j = 0; j < rows; ++j) {
        if (is_positive(j) && (farthest < 0 || q[j] > q[farthest])) farthest = j;
        if (is_negative(j) && (nearest < 0 || q[j] < q[nearest])) nearest = j;
      }
      if (farthest >= 0 && nearest >= 0) take(farthest, nearest);
    } else {
      for (std::int64_t p = 0; p < rows; ++p)
        for (std::int64_t n = 0; n < rows; ++n)
          if (is_positive(p) && is_negative(n)) take(p, n);
    }
    losses.data<T>()[i] = loss;
    counts.data<T>()[i] = count;
    if (derive) std::copy(derivatives.begin(), derivatives.end(), q);
  }
}

}  // namespace

const TripletKernels triplet_reference = {
    [](const Tensor& labels, const TripletOptions& options, std::int64_t first, Output distances, bool derive,
       Output losses, Output counts) {
      dispatch_reference("triplet", distances.dtype(), [&]<typename T>(T) {
        terms<T>(labels, options, first, distances, derive, losses, counts);
      });
    },
};

}  // namespace kindred
