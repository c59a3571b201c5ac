// Trained networks as ONNX (https://onnx.ai, operator set 17), for programs that only run networks:
// onnxruntime, OpenCV's dnn, TensorRT.
//
//   input   images      f32 [batch, 3, image_size, image_size], RGB, normalized: (x / 255 - mean) / deviation;
//                       the batch may have any size. With the preparation in the graph: u8 [batch, height, width, 3],
//                       RGB, any height and width
//   output  features    f32 [batch, dim]        the encoder alone
//           embeddings  f32 [batch, 128]        with the head: unit rows
//           logits      f32 [batch, classes]    with a classifier
//
// The metadata (model, stem, image_size, pixel_mean, pixel_std, resize, exif, preparation, classes) say how images
// are prepared and give the class names. Weights keep torchvision's names.
//
// libonnx writes the file. A build without libonnx compiles onnx_missing.cpp in place of onnx_file.cpp.
#pragma once

#include <kindred/apps/training/run/weights_source.h>

#include <filesystem>

namespace kindred {

// Throws Error(usage) if the build has no libonnx.
void require_onnx();

// The graph is checked by onnx's own checker before it is written. `with_preparation` puts the resize and the
// normalization into it (preparation.h). Throws Error(io).
void write_onnx(const std::filesystem::path& path, const LoadedModel& model, bool with_preparation = false);

}  // namespace kindred
