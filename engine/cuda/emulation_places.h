// Names of places in the program, for messages of the emulation (emulation.h).
#pragma once

#include <cstdint>
#include <string>

namespace kindred::cuda::emulation {

// The part of memory into which the program was loaded.
struct Image {
  std::uintptr_t base = 0;  // what was added to the file's addresses
  std::uintptr_t begin = 0, end = 0;
  std::uintptr_t thread_locals = 0;  // of the calling thread
  std::size_t thread_local_bytes = 0;
};
Image program_image();

// "losses/triplet/cuda.cu:47" of an instruction, or of the one before a return address; where a function was
// inlined, its callers follow: "engine/cuda/launch.h:90, called at losses/triplet/cuda.cu:80".
std::string line_of(std::uintptr_t address);

// "forward_kernel<float, 4>" of a kernel's address.
std::string kernel_name(const void* kernel);

// The part of a path that starts in the tree of sources.
std::string in_tree(std::string path);

}  // namespace kindred::cuda::emulation
