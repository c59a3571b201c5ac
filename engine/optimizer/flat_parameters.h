// The parameters of a model as the optimizers' kernels see them.
//
// All parameters lie in one flat tensor, so a kernel processes all of them in one pass. A table of chunks says
// which parameter each part belongs to: a chunk never crosses from one parameter to the next and holds at most
// `chunk_elements`. On a GPU one block processes one chunk. Sums run over chunks in the order of the table, so
// they do not depend on the number of threads. A frozen parameter has no chunks, so no kernel reads or writes it.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

inline constexpr std::int64_t chunk_elements = 16384;
inline constexpr std::int64_t chunk_granule = 64;  // elements; every parameter starts at a multiple of this

struct Chunk {  // a row of FlatParameters::chunks
  std::int32_t parameter;
  std::int32_t first_granule;  // the first element is at first_granule * chunk_granule
  std::int32_t elements;
};

struct ParameterChunks {  // a row of FlatParameters::parameters
  std::int32_t first_chunk;
  std::int32_t chunks;
  std::int32_t adapted;  // LARS only: 0 if the parameter uses the plain learning rate
};

struct FlatParameters {
  Tensor values;         // [elements] master values, f32 or f64; this type is called T
  Tensor gradients;      // [elements] T
  Tensor low;            // [elements] low-precision copy, rewritten in the same pass; may be undefined
  Tensor chunks;         // i32 [chunks, 3]: Chunk
  Tensor parameters;     // i32 [parameters, 3]: ParameterChunks
  Tensor weight_decay;   // [parameters] T; 0 if the parameter is exempt
  Tensor learning_rate;  // [1] T
  Tensor rate_factor;    // [parameters] T, times the learning rate; undefined if all are 1
  Tensor non_finite;     // i32 [1]
  Tensor loss_scale;     // [4] T, the state of LossScaleRule: the gradients belong to
                         // scale * loss. If undefined, the scale is 1
};

}  // namespace kindred
