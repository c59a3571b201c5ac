// Where a process runs: which machine, which cores, which GPU.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

std::string host_name();

// Cores that this process may run on.
int usable_cores();
// The same as a text that is equal for two processes that may run on the same cores: "0-3,8".
std::string usable_cores_in_words();

// The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them, without asking CUDA, which reads that variable
// only once. Of a machine without the variable: those that can be opened, "0", "1". nullopt if the variable is not set and
// no GPU is found, which does not always mean that there is none.
std::optional<std::vector<std::string>> visible_gpus();

// Which of the visible GPUs the process takes that is number `place` of `places` on this machine. One GPU is taken
// whatever the place: a scheduler may have shown each process its own, and connect_devices() finds out if it has not. Throws
// Error(device) if there are more processes than GPUs.
std::string gpu_of_place(const std::vector<std::string>& visible, int place, int places,
                         const std::string& host);

// Before CUDA is used for the first time: this process sees only the GPU of its place.
void take_gpu_of_place(int place, int places);

// The first visible GPU of CUDA, the same text in all processes that use it; empty if the driver does not say.
std::string identity_of_gpu();

}  // namespace kindred
