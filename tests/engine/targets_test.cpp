#include <kindred/engine/cpu/processor_name.h>
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/device.h>
#include <kindred/third_party/onednn/onednn.h>

#include <doctest/doctest.h>
#include <oneapi/dnnl/dnnl.h>

#include <cstdlib>
#include <sstream>
#include <string>

namespace kindred {

TEST_CASE("vectors: this machine's are those that its processor has and KINDRED_CPU allows") {
  const char* cap = std::getenv("KINDRED_CPU");
#if defined(__x86_64__)
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  std::string expected = wide ? "avx512" : has_avx2 ? "avx2" : "scalar";
  if (cap != nullptr && std::string(cap) == "avx2" && wide) expected = "avx2";
#else
  std::string expected = "neon";
#endif
  if (cap != nullptr && std::string(cap) == "scalar") expected = "scalar";
  CHECK(name(cpu_target()) == expected);
  if (expected == "avx2" || expected == "scalar") CHECK_FALSE(cpu_has_bf16());
}

TEST_CASE("vectors: oneDNN takes no wider ones than the kernels, whatever it is asked first") {
  const float two = 2, three = 3;
  float product = 0;
  onednn::sgemm({.m = 1, .n = 1, .k = 1}, &two, &three, &product);
  CHECK(product == 6);
  if (std::getenv("DNNL_MAX_CPU_ISA") != nullptr) return;
  if (cpu_target() == CpuTarget::avx2) CHECK(dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_avx2);
  if (cpu_target() == CpuTarget::scalar) CHECK(dnnl_get_effective_cpu_isa() == dnnl_cpu_isa_sse41);
}

TEST_CASE("processors are named as the system names them, and on Arm by their numbers") {
  const auto named = [](const char* text) {
    std::istringstream cpuinfo(text);
    return processor_name(cpuinfo);
  };
  CHECK(named("processor\t: 0\nmodel\t\t: 17\nmodel name\t: Some Processor 9\nflags\t\t: fpu\n") == "Some Processor 9");
  CHECK(named("processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
              "CPU part\t: 0xd4f\nCPU revision\t: 0\n") == "Arm Neoverse V2");
  CHECK(named("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n") == "Arm processor (implementer 0x41, part 0xfff)");
  CHECK(named("") == "unknown processor");
  CHECK(named("model name\t:\n").empty());
}

TEST_CASE("results are written past the cache only where they are larger than it, and aligned") {
  alignas(64) const float some[32] = {};
  CHECK(worth_streaming(some, std::int64_t{4} << 20));
  CHECK_FALSE(worth_streaming(some, (std::int64_t{4} << 20) - 1));
  CHECK_FALSE(worth_streaming(some + 1, std::int64_t{8} << 20));
}

}  // namespace kindred
