// Names of places in the program, for error messages of the emulation (emulation.h).
#pragma once

#include <cstdint>
#include <string>

namespace kindred::cuda::emulation {

// The memory range into which the program was loaded.
struct Image {
  std::uintptr_t base = 0;  // load address minus the address in the file
  std::uintptr_t begin = 0, end = 0;
  std::uintptr_t thread_locals = 0;  // of the calling thread
  std::size_t thread_local_bytes = 0;
};
Image program_image();

// "losses/triplet/cuda.cu:47" for an instruction, or for the instruction before a return address. If a function
// was inlined, its callers follow: "engine/cuda/launch.h:90, called at losses/triplet/cuda.cu:80".
std::string line_of(std::uintptr_t address);

// The name of the kernel at this address: "forward_kernel<float, 4>".
std::string kernel_name(const void* kernel);

// The part of a path that starts at the root of the source tree.
std::string in_tree(std::string path);

}  // namespace kindred::cuda::emulation
