// In which precision a network computes. This is decided here and nowhere else.
//
//           activations and     products of           scaled   devices
//           copies of weights   f32 factors           loss
//   f32     f32                 f32                   no       all
//   tf32    f32                 10 bits of mantissa   no       cuda
//   bf16    bf16                                      no       cpu, cuda
//   f16     f16                                       yes      cuda
//
// In all of them master weights, their gradients, statistics, losses, sums and optimizer state are f32.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/dtype.h>

#include <string>

namespace kindred {

struct Precision {
  DType compute = DType::f32;  // of activations, and of the weight copies they are used with
  bool tf32 = false;
  bool scales_loss() const { return compute == DType::f16; }
  bool operator==(const Precision&) const = default;
};

std::string name(const Precision& precision);  // "tf32"

// Throws Error(usage), which lists the valid names.
Precision parse_precision(const std::string& text);

// Returns bf16 for a GPU and f32 for other devices.
Precision default_precision(Device device);

// Throws Error(usage) if the device does not compute in this precision.
void check_precision(const Precision& precision, Device device);

}  // namespace kindred
