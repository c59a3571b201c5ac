// Where a tensor lives and which kernels run on it.
//
//   reference  plain loops on the host in float or double: the definition of every operation
//   cpu        oneDNN and vectorised loops on all cores, float32 or bfloat16
//   cuda       an NVIDIA GPU
//   plan       no memory and no arithmetic, only shapes and addresses; `--dry-run` predicts memory with it
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kindred {

enum class Device : std::uint8_t { reference, cpu, cuda, plan };

const char* name(Device device);

// True when the host may read and write the tensor's bytes directly.
constexpr bool is_host(Device device) {
  return device == Device::reference || device == Device::cpu;
}

// The device that `plan` stands for, because devices differ in the memory that kernels take besides their
// results. It is `cpu` until set.
Device planned_device();
void set_planned_device(Device device);

struct DeviceChoice {
  Device device;
  std::string reason;  // one clause for the user: "no GPU answers", "it was asked for"
};

// `auto` chooses CUDA if a GPU answers and the CPU otherwise. Throws Error(usage) for an unknown name, and
// Error(device) if `cuda` is requested and there is no GPU.
DeviceChoice choose_device(std::string_view requested);

// Returns true if the processor multiplies bfloat16 natively (AVX512-BF16 or AMX). Elsewhere bfloat16 is
// emulated, which is slow.
bool cpu_has_bf16();

// The name of the processor, for reports.
std::string cpu_model_name();

}  // namespace kindred
