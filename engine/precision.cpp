#include <kindred/engine/error.h>
#include <kindred/engine/precision.h>

namespace kindred {

std::string name(const Precision& precision) {
  return precision.tf32 ? "tf32" : name(precision.compute);
}

Precision parse_precision(const std::string& text) {
  for (const Precision& each :
       {Precision{}, Precision{DType::f32, true}, Precision{DType::bf16}, Precision{DType::f16}})
    if (name(each) == text) return each;
  fail(ExitCode::usage, "precision {}: expected f32, tf32, bf16 or f16", text);
}

Precision default_precision(Device device) {
  return Precision{device == Device::cuda ? DType::bf16 : DType::f32};
}

void check_precision(const Precision& precision, Device device) {
  const bool plain = precision == Precision{};
  if (device == Device::reference)
    check(plain, ExitCode::usage, Cause::needs_cpu, "precision {}: device reference computes in f32",
          name(precision));
  if (device == Device::cpu)
    check(plain || precision.compute == DType::bf16, ExitCode::usage, Cause::needs_gpu,
          "precision {}: device cpu computes in f32 or bf16", name(precision));
}

}  // namespace kindred
