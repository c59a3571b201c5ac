#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/error.h>

#include <hwy/highway.h>

#include <cstdlib>
#include <string_view>

namespace kindred {
namespace {

struct VectorKind {
  CpuTarget target;
  const char* name;
  std::int64_t of_highway;
};
// From narrow to wide.
constexpr VectorKind vector_kinds[] = {{CpuTarget::scalar, "scalar", HWY_SCALAR},
                                       {CpuTarget::neon, "neon", HWY_NEON},
                                       {CpuTarget::avx2, "avx2", HWY_AVX2},
                                       {CpuTarget::avx512, "avx512", HWY_AVX3}};

const VectorKind& widest_allowed() {
  const char* cap = std::getenv("KINDRED_CPU");
  if (cap == nullptr || *cap == '\0') return vector_kinds[3];
  for (const VectorKind& kind : vector_kinds)
    if (std::string_view(cap) == kind.name) return kind;
  fail(ExitCode::usage, "KINDRED_CPU={}: not one of scalar, avx2, avx512 and neon", cap);
}

CpuTarget choose() {
  const VectorKind& widest = widest_allowed();
  const std::int64_t of_processor = hwy::SupportedTargets();
  std::int64_t without = 0;
  CpuTarget chosen = CpuTarget::scalar;
  for (const VectorKind& kind : vector_kinds) {
    if (&kind > &widest)
      without |= kind.of_highway;
    else if ((of_processor & kind.of_highway) != 0)
      chosen = kind.target;
  }
  hwy::DisableTargets(without);
  return chosen;
}

}  // namespace

CpuTarget cpu_target() {
  static const CpuTarget target = choose();
  return target;
}

std::string name(CpuTarget target) {
  for (const VectorKind& kind : vector_kinds)
    if (kind.target == target) return kind.name;
  return "scalar";
}

}  // namespace kindred
