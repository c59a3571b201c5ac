// Recognizes files of weights that are no safetensors, so that an error can say what they are. Used only by
// safetensors.cpp.
#pragma once

#include <cstdint>
#include <string>

namespace kindred {

// What an open file is and what to do about it, as the end of a sentence: "is an ONNX graph; give ..."; empty if it is
// none of the formats that weights often have. Of the `bytes` that the file has, it reads 257 KiB at most. Throws
// Error(file), which names `path`, if reading fails.
std::string what_else_it_is(int file, const std::string& path, std::uint64_t bytes);

}  // namespace kindred
