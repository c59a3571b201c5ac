// The libraries without which a GPU is not used, opened at run time.
#pragma once

#include <string>
#include <vector>

namespace kindred {

// Why one of them cannot be used, and what to do; or "".
std::string missing_gpu_library();

// What was opened and from where, or why not: "cuDNN 9.19.0 in /usr/lib/x86_64-linux-gnu".
std::vector<std::string> gpu_libraries();

}  // namespace kindred
