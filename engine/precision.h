// In which precision a network computes: the one place that decides it.
//
//           activations and     products of           scaled   devices
//           copies of weights   f32 factors           loss
//   f32     f32                 f32                   no       all
//   tf32    f32                 10 bits of mantissa   no       cuda
//   bf16    bf16                                      no       cpu, cuda
//   f16     f16                                       yes      cuda
//
// Everywhere: master weights, their gradients, statistics, losses, sums and optimizer state are f32.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/dtype.h>

#include <string>

namespace kindred {

struct Precision {
  DType compute = DType::f32;  // of activations, and of the copies of the weights that they meet
  bool tf32 = false;
  bool scales_loss() const { return compute == DType::f16; }
  bool operator==(const Precision&) const = default;
};

std::string name(const Precision& precision);  // "tf32"

// Error(usage) lists the names.
Precision parse_precision(const std::string& text);

// bf16 on a GPU, f32 elsewhere.
Precision default_precision(Device device);

// Error(usage) where the device does not compute in it.
void check_precision(const Precision& precision, Device device);

}  // namespace kindred
