// The projection head maps features to the unit vectors that the contrastive loss compares (Khosla et al. 2020,
// section 3.1). It is discarded after stage one.
#pragma once

#include <kindred/layers/linear/linear.h>
#include <kindred/models/choices.h>

#include <optional>

namespace kindred {

inline constexpr std::int64_t projection_dim = 128;

struct ProjectionHead {
  ProjectionHead(ParameterStore& store, HeadKind kind, std::int64_t feature_dim);

  // Features [n, feature_dim] -> unit rows [n, 128], or [n, feature_dim] with HeadKind::none; f32 (f64 if the
  // features are f64).
  Tensor operator()(const Tensor& features) const;

  HeadKind kind;
  std::int64_t dim;              // of the output
  std::optional<Linear> hidden;  // head.0 of the mlp
  std::optional<Linear> output;  // head.2 of the mlp, or head of the linear head
};

}  // namespace kindred
