#include <kindred/engine/error.h>
#include <kindred/engine/names.h>
#include <kindred/engine/precision.h>

namespace kindred {

namespace {

constexpr Named<Precision> precision_names[] = {{Precision{}, "f32"},
                                                {Precision{DType::f32, true}, "tf32"},
                                                {Precision{DType::bf16}, "bf16"},
                                                {Precision{DType::f16}, "f16"}};

}  // namespace

std::string name(const Precision& precision) {
  return name_of(precision_names, precision);
}

Precision parse_precision(const std::string& text) {
  if (const auto precision = value_named(precision_names, text)) return *precision;
  fail(ExitCode::usage, "precision {}: expected {}", text, names_of(precision_names, " or "));
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
