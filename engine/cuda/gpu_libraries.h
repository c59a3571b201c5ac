// What device `cuda` asks about the libraries that it needs, which are opened at run time. The engine does not
// know these libraries; third_party/gpu_libraries.cpp answers.
#pragma once

#include <string>
#include <vector>

namespace kindred {

// Says why one of the libraries cannot be used and what to do; returns "" if all of them can be used.
std::string missing_gpu_library();

// One line for each library: what was opened and from where, or why it was not opened. Example: "cuDNN 9.19.0
// in /usr/lib/x86_64-linux-gnu".
std::vector<std::string> gpu_libraries();

// The same for what only runs on several GPUs need: NCCL.
std::vector<std::string> gpu_libraries_of_many();

}  // namespace kindred
