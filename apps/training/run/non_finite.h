// Finds where a value that is not finite came from, for the message that ends a run.
#pragma once

#include <kindred/engine/tape.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// The list of a run that ended so and did not replace the one that is there, which has a list of its own.
inline constexpr const char* non_finite_refused_name = "non_finite.refused.json";

struct NonFiniteSource {
  std::string layer;  // "layer1.0.conv2"; empty: none of the tensors that the tape keeps has such a value
  // The rows of the batch of views in which it appeared there. Empty if the row cannot be determined.
  std::vector<std::int64_t> rows;
  // Which of the tensors that the tape keeps it is, counted from 0 in the order of the forward pass; -1: none.
  std::int64_t place = -1;
};

// The first layer of a forward pass whose result is not finite. The pass is over the rows [first, first + rows)
// of the batch. It checks, on the host, the tensors that are kept for the backward pass, which are nearly all.
NonFiniteSource find_non_finite(const Tape& tape, std::int64_t rows, std::int64_t first);

// A step whose loss or gradient is not finite.
struct NonFiniteStep {
  std::int64_t step = 0, epoch = 0, batch = 0;  // counted from 1
  double loss = 0;
  std::string parameter;            // the first parameter whose gradient is not finite
  NonFiniteSource source;           // its rows are views: row r shows image r % images.size()
  std::vector<std::string> images;  // names of the batch's images, of all processes
};

// Writes all of it to `path`, unless another process does. Returns the beginning of a sentence that names step, layer and
// images. Throws Error(io).
std::string report_non_finite(const NonFiniteStep& step, const std::filesystem::path& path, bool writes = true);

}  // namespace kindred
