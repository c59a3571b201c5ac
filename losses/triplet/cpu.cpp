// The negatives of an anchor are gathered side by side, so that one vectorised loop compares a positive with
// all of them.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/losses/triplet/cpu_met.h>
#include <kindred/losses/triplet/kernels.h>

#include <algorithm>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/losses/triplet/cpu.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/engine/cpu/vectors.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {
namespace {

// Compares one positive, whose distance is `positive`, with all negatives. Adds 1 to hits[n] for each active
// triplet.
Met meet(float positive, float margin, bool semi_hard, const float* negatives, std::int64_t count,
         std::int32_t* hits) {
  float loss = 0;
  std::int32_t chosen = 0, active = 0;
  const float nearest = semi_hard ? positive : -1.0f;  // no distance is below 0
#pragma omp simd reduction(+ : loss, chosen, active)
  for (std::int64_t n = 0; n < count; ++n) {
    const float term = positive - negatives[n] + margin;
    const bool far = negatives[n] > nearest, hit = far & !(term <= 0);  // a NaN is a hit: it reaches the loss
    chosen += (semi_hard ? hit : far) ? 1 : 0;
    active += hit ? 1 : 0;
    hits[n] += hit ? 1 : 0;
    loss += hit ? term : 0.0f;
  }
  return {loss, chosen, active};
}

}  // namespace
}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace kindred {
namespace {

HWY_EXPORT(meet);

// The columns of an anchor.
struct Row {
  std::vector<std::int64_t> positives, negatives;  // indices in the batch
  std::vector<float> negative_distances;
  std::vector<std::int32_t> hits;  // for each negative

  void sort_out(const float* distances, const std::int32_t* labels, std::int64_t rows, std::int64_t anchor) {
    positives.clear();
    negatives.clear();
    negative_distances.clear();
    for (std::int64_t j = 0; j < rows; ++j) {
      if (labels[j] != labels[anchor]) {
        negatives.push_back(j);
        negative_distances.push_back(distances[j]);
      } else if (j != anchor) {
        positives.push_back(j);
      }
    }
    hits.assign(negatives.size(), 0);
  }

  // Keeps only the hardest positive and the hardest negative.
  void keep_hardest(const float* distances) {
    if (positives.empty() || negatives.empty()) return;
    const auto nearer = [&](std::int64_t a, std::int64_t b) { return distances[a] < distances[b]; };
    const std::int64_t p = *std::max_element(positives.begin(), positives.end(), nearer);
    const std::int64_t n = *std::min_element(negatives.begin(), negatives.end(), nearer);
    positives = {p};
    negatives = {n};
    negative_distances = {distances[n]};
    hits = {0};
  }
};

void terms(const Tensor& labels, const TripletOptions& options, std::int64_t first, Output distances,
           bool derive, Output losses, Output counts) {
  const std::int64_t rows = distances.dim(1);
  const bool semi_hard = options.mining == TripletMining::semi_hard;
  parallel_for(distances.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    Row row;
    std::vector<float> derivatives;
    for (std::int64_t i = begin; i < end; ++i) {
      float* q = distances.data<float>() + i * rows;
      row.sort_out(q, labels.data<std::int32_t>(), rows, first + i);
      if (options.mining == TripletMining::batch_hard) row.keep_hardest(q);
      derivatives.assign(static_cast<std::size_t>(rows), 0.0f);
      double loss = 0;
      std::int64_t chosen = 0, active = 0;
      for (const std::int64_t p : row.positives) {
        const Met met =
            KINDRED_FOR_TARGET(meet)(q[p], options.margin, semi_hard, row.negative_distances.data(),
                                     static_cast<std::int64_t>(row.negatives.size()), row.hits.data());
        loss += static_cast<double>(met.loss);
        chosen += met.chosen;
        active += met.active;
        derivatives[static_cast<std::size_t>(p)] = static_cast<float>(met.active);
      }
      for (std::size_t n = 0; n < row.negatives.size(); ++n)
        derivatives[static_cast<std::size_t>(row.negatives[n])] = -static_cast<float>(row.hits[n]);
      losses.data<float>()[i] = static_cast<float>(loss);
      counts.data<float>()[i] =
          static_cast<float>(options.reduction == TripletReduction::chosen ? chosen : active);
      if (derive) std::copy(derivatives.begin(), derivatives.end(), q);
    }
  });
}

}  // namespace

const TripletKernels triplet_cpu = {terms};

}  // namespace kindred
#endif
