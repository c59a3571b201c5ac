// The preparation of images (layers/image_input/preparation.h) as a part of an ONNX graph.
#pragma once

#include <kindred/apps/onnx/graph.h>
#include <kindred/models/encoder_file.h>

#include <string>

namespace kindred::detail {

// Adds the nodes that make what the network takes, f32 [batch, 3, size, size], normalized, of `images`, u8 [batch,
// height, width, 3], RGB. Returns the name of the result. The pixels agree with Kindred's within one level of 255, at a
// place where the two round a half differently. EXIF orientations are the caller's matter, because pixels have none.
//
// Operator set 17 has no resize with antialiasing. A resize is linear in the rows and in the columns, though, so the
// graph makes the two matrices of weights, of which it keeps the rows that the square shows, and multiplies by them.
std::string add_preparation(OnnxGraph& graph, const EncoderInfo& info, const std::string& images);

}  // namespace kindred::detail
