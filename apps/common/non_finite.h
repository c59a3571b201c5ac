// Where a value that is not finite came from, for the message that ends a run.
#pragma once

#include <kindred/engine/tape.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

struct NonFiniteSource {
  std::string layer;  // "layer1.0.conv2"; empty: none of the tensors that the tape keeps has one
  std::vector<std::int64_t>
      rows;  // of the batch of views in which it appeared there; empty: not told by the row
};

// The first layer of a forward pass whose result is not finite. The pass is that of the rows [first, first +
// rows) of the batch. Looks at what is kept for the backward pass, which is nearly all; reads it on the host.
NonFiniteSource find_non_finite(const Tape& tape, std::int64_t rows, std::int64_t first);

// A step whose loss or gradient is not finite.
struct NonFiniteStep {
  std::int64_t step = 0, epoch = 0, batch = 0;  // counted from 1
  double loss = 0;
  std::string parameter;            // the first whose gradient is not finite
  NonFiniteSource source;           // rows are views: row r shows image r % images.size()
  std::vector<std::string> images;  // names of the batch's images
};

// Writes all of it to `path` and returns it as the beginning of a sentence: step, layer, images. Error(io).
std::string report_non_finite(const NonFiniteStep& step, const std::filesystem::path& path);

}  // namespace kindred
