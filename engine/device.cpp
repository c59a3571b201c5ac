#include <kindred/engine/device.h>
#include <kindred/engine/error.h>

#include <fstream>

namespace kindred {

const char* name(Device device) {
  switch (device) {
    case Device::reference:
      return "reference";
    case Device::cpu:
      return "cpu";
    case Device::cuda:
      return "cuda";
    case Device::plan:
      return "plan";
  }
  return "?";
}

DeviceChoice choose_device(std::string_view requested) {
  if (requested == "reference") return {Device::reference, "asked for with --device"};
  if (requested == "cpu") return {Device::cpu, "asked for with --device"};
  if (requested == "auto") return {Device::cpu, "this build has no CUDA"};
  check(requested == "cuda", ExitCode::usage, "--device {}: unknown device; use auto, cpu, cuda or reference",
        requested);
  fail(ExitCode::device, "--device cuda: this build has no CUDA; use --device cpu");
}

bool cpu_has_bf16() {
  return __builtin_cpu_supports("avx512bf16");
}

std::string cpu_model_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

}  // namespace kindred
