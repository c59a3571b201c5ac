// A GPU that computes nothing and writes down what it is given: an H200's number of multiprocessors and its memory,
// of which only the addresses exist. It takes the place of engine/cuda/device.cu, of CUDA's runtime, and of the calls
// of cuDNN and cuBLASLt. Everything else is the code that runs on a GPU, with the launches, grids and sizes that it
// has there.
//
// Each event is one line of the log, its fields separated by tabs:
//   launch   kernel's mangled name, grid (x y z), threads, dynamic shared bytes, words of the parameters
//   conv     pass (0 forward, 1 data, 2 filters), type, type of the filters, n h w c k kh kw stride pad out_h out_w
//   product  type, type of the result, m n k
//   copy     "up", "down" or "here", bytes
//   fill     bytes
//   record, recorded, replay: a recording (engine/recording.h) begins, ends, runs
//   data     number, the bytes of a table in the GPU's memory, in hexadecimal
//   mark     text of mark()
// A word is a number, or for an address of the GPU's memory "@part/block": the bytes from there to the end of the
// parameter or buffer that it lies in (if known), and to the end of its block; "=number" follows if it is the address
// of such a table. A parameter of less than eight bytes is one word.
#pragma once

#include <kindred/engine/tensor.h>

#include <filesystem>
#include <string>
#include <vector>

namespace kindred::described_gpu {

// Opens the log and reads the sizes of kernels' parameters, of which CUDA's runtime is told nothing: a line for each
// kernel, its mangled name and the bytes of each parameter. To be called before anything else. Throws Error(io) or
// Error(file).
void open_log(const std::filesystem::path& log, const std::filesystem::path& parameter_sizes);
// Ends the log. Throws Error(io) if it could not be written.
void close_log();
void mark(const std::string& text);
// A tensor that is a part of a larger block. Kernels that are given its address use it alone.
void name_part(const Tensor& tensor);

// For the libraries' stand-ins (described_libraries.cpp).
void write(const char* event, const std::vector<std::string>& fields);

}  // namespace kindred::described_gpu
