#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/models/projection_head.h>

namespace kindred {
namespace {

std::optional<Linear> hidden_layer(ParameterStore& store, HeadKind kind, std::int64_t dim) {
  if (kind != HeadKind::mlp) return std::nullopt;
  return std::optional<Linear>(std::in_place, store, "head.0", dim, dim);
}

std::optional<Linear> output_layer(ParameterStore& store, HeadKind kind, std::int64_t dim) {
  if (kind == HeadKind::none) return std::nullopt;
  const char* name = kind == HeadKind::mlp ? "head.2" : "head";
  return std::optional<Linear>(std::in_place, store, name, dim, projection_dim);
}

}  // namespace

ProjectionHead::ProjectionHead(ParameterStore& store, HeadKind head_kind, std::int64_t feature_dim)
    : kind(head_kind),
      dim(head_kind == HeadKind::none ? feature_dim : projection_dim),
      hidden(hidden_layer(store, head_kind, feature_dim)),
      output(output_layer(store, head_kind, feature_dim)) {}

Tensor ProjectionHead::operator()(const Tensor& features) const {
  const Tensor x = hidden ? hidden->with_relu(features) : features;  // [n, feature_dim]
  return l2_normalize(output ? (*output)(x) : x);                    // [n, 128]
}

}  // namespace kindred
