// Turns a run-time element type into a template argument, for the kernels of each device.
#pragma once

#include <kindred/engine/tensor.h>

namespace kindred {

// Calls body(T{}) with T float or double.
template <typename Body>
void dispatch_reference(const char* what, DType dtype, Body&& body) {
  if (dtype == DType::f32) return body(float{});
  if (dtype == DType::f64) return body(double{});
  fail(ExitCode::usage, Cause::needs_cpu, "{} on device reference computes in f32 or f64, not {}", what,
       name(dtype));
}

// Calls body(T{}) with T float or BFloat16.
template <typename Body>
void dispatch_cpu(const char* what, DType dtype, Body&& body) {
  if (dtype == DType::f32) return body(float{});
  if (dtype == DType::bf16) return body(BFloat16{});
  fail(ExitCode::usage, Cause::needs_reference, "{} on device cpu computes in f32 or bf16, not {}", what,
       name(dtype));
}

}  // namespace kindred
