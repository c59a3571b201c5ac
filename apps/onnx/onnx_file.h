// Trained networks as ONNX (https://onnx.ai, operator set 17), for programs that run networks and know nothing
// of training: onnxruntime, OpenCV's dnn, TensorRT.
//
//   input   images      f32 [batch, 3, image_size, image_size], RGB, normalized: (x / 255 - mean) / deviation;
//                       the batch may have any size
//   output  features    f32 [batch, dim]        the encoder alone
//           embeddings  f32 [batch, 128]        with the head: unit rows
//           logits      f32 [batch, classes]    with a classifier
//
// The metadata (model, stem, image_size, pixel_mean, pixel_std, classes) say how images are prepared and what
// the classes are called. Weights keep torchvision's names.
//
// Written by libonnx; a build without it has onnx_missing.cpp in place of onnx_file.cpp.
#pragma once

#include <kindred/apps/common/weights_source.h>

#include <filesystem>

namespace kindred {

// Error(usage) where the build has no libonnx.
void require_onnx();

// The graph is checked by onnx's own checker before it is written. Error(io).
void write_onnx(const std::filesystem::path& path, const LoadedModel& model);

}  // namespace kindred
