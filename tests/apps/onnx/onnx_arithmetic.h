// The operations of ONNX on numbers and matrices, by plain loops, after onnx/docs/Operators.md.
#pragma once

#include "onnx_reader.h"

#include <optional>
#include <vector>

namespace kindred {

// The result of a node; nullopt if its operation is not one of these. Whole numbers are floats too.
std::optional<OnnxTensor> run_arithmetic(const OnnxNode& node, const std::vector<OnnxTensor>& in);

}  // namespace kindred
