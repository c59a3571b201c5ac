// What stage one trains: an encoder and a head, whose output the loss reads, in one parameter store.
#pragma once

#include <kindred/models/projection_head.h>
#include <kindred/models/resnet.h>

namespace kindred {

struct ContrastiveModel {
  // The head is a projection head. For a loss of class scores it is a linear classifier with that many classes.
  ContrastiveModel(const std::string& model, Stem stem, HeadKind head_kind, int classes = 0)
      : encoder(store, resnet_spec(model), stem) {
    if (classes > 0)
      classifier.emplace(store, "fc", encoder.feature_dim, classes);
    else
      head.emplace(store, head_kind, encoder.feature_dim);
  }

  // Normalized images [n, h, w, 3] -> unit rows [n, 128], f32; or logits [n, classes] in the type of the
  // images.
  Tensor operator()(const Tensor& images, Mode mode) const { return project(encoder(images, mode)); }

  // The second half of the model: from features [n, feature_dim] to the output.
  Tensor project(const Tensor& features) const {
    return classifier ? (*classifier)(features) : (*head)(features);
  }

  ParameterStore store;
  ResNet encoder;
  std::optional<ProjectionHead> head;
  std::optional<Linear> classifier;
};

}  // namespace kindred
