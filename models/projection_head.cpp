#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/models/projection_head.h>

namespace kindred {
namespace {

std::optional<Linear> hidden_layer(ParameterStore& store, HeadKind kind, std::int64_t dim) {
  if (kind == HeadKind::linear) return std::nullopt;
  return std::optional<Linear>(std::in_place, store, "head.0", dim, dim);
}

}  // namespace

const char* name(HeadKind kind) {
  return kind == HeadKind::linear ? "linear" : "mlp";
}

HeadKind parse_head(const std::string& text) {
  if (text == "linear") return HeadKind::linear;
  if (text == "mlp") return HeadKind::mlp;
  fail(ExitCode::usage, "--head {}: unknown projection head; use linear or mlp", text);
}

ProjectionHead::ProjectionHead(ParameterStore& store, HeadKind head_kind, std::int64_t feature_dim)
    : kind(head_kind),
      hidden(hidden_layer(store, head_kind, feature_dim)),
      output(store, head_kind == HeadKind::mlp ? "head.2" : "head", feature_dim, projection_dim) {}

Tensor ProjectionHead::operator()(const Tensor& features) const {
  const Tensor x = hidden ? hidden->with_relu(features) : features;  // [n, feature_dim]
  return l2_normalize(output(x));                                    // [n, 128]
}

}  // namespace kindred
