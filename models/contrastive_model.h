// What stage one trains: an encoder and a projection head over one parameter store.
#pragma once

#include <kindred/models/projection_head.h>
#include <kindred/models/resnet.h>

namespace kindred {

struct ContrastiveModel {
  ContrastiveModel(const std::string& model, Stem stem, HeadKind head_kind)
      : encoder(store, resnet_spec(model), stem), head(store, head_kind, encoder.feature_dim) {}

  // Normalized images [n, h, w, 3] -> unit rows [n, 128], f32.
  Tensor operator()(const Tensor& images, Mode mode) const { return head(encoder(images, mode)); }

  ParameterStore store;
  ResNet encoder;
  ProjectionHead head;
};

}  // namespace kindred
