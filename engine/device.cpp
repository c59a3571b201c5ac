#include <kindred/engine/cpu/processor_name.h>
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/device.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <atomic>
#include <fstream>
#include <utility>

namespace kindred {

namespace {

constexpr Named<Device> device_names[] = {
    {Device::reference, "reference"}, {Device::cpu, "cpu"}, {Device::cuda, "cuda"}, {Device::plan, "plan"}};

}  // namespace

const char* name(Device device) {
  return name_of(device_names, device);
}

namespace {

std::atomic<Device> planned{Device::cpu};

}  // namespace

Device planned_device() {
  return planned;
}

void set_planned_device(Device device) {
  planned = device;
}

namespace {

// What to say of the GPU: its name, or why it cannot be used.
const std::string& description(const GpuProbe& probe) {
  return probe.usable ? probe.name : probe.problem;
}

GpuProbe probe_cuda() {
  if (device_cuda != nullptr) return device_cuda->probe();
  GpuProbe none;
  none.problem = "this build has no CUDA";
  return none;
}

}  // namespace

DeviceChoice choose_device(std::string_view requested) {
  if (requested == "reference") return {Device::reference, "it was asked for"};
  if (requested == "cpu") return {Device::cpu, "it was asked for"};
  check(requested == "cuda" || requested == "auto", ExitCode::usage,
        "unknown device {}: expected auto, cpu, cuda or reference", requested);
  const GpuProbe probe = probe_cuda();
  if (probe.usable && !(probe.emulated && requested == "auto")) return {Device::cuda, probe.name};
  check(requested == "auto", ExitCode::device, Cause::needs_cpu, "device cuda: {}", probe.problem);
  return {Device::cpu, description(probe)};
}

std::vector<std::string> libraries_of_cuda() {
  const bool has_libraries = device_cuda != nullptr && device_cuda->libraries != nullptr;
  return has_libraries ? device_cuda->libraries() : std::vector<std::string>();
}

std::vector<std::string> describe_cuda() {
  std::vector<std::string> lines{"device cuda: " + description(probe_cuda())};
  for (std::string& library : libraries_of_cuda()) lines.push_back(std::move(library));
  if (device_cuda != nullptr && device_cuda->libraries_of_many != nullptr)
    for (std::string& library : device_cuda->libraries_of_many()) lines.push_back(std::move(library));
  return lines;
}

std::string cuda_version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string why_unusable(const GpuFacts& facts) {
  if (facts.driver == 0) return "no NVIDIA driver is installed";
  if (facts.driver_too_old)
    return fmt::format("the NVIDIA driver is too old: it knows CUDA {}, and this build needs {}",
                       cuda_version_text(facts.driver), cuda_version_text(facts.runtime));
  if (!facts.error.empty()) return fmt::format("no GPU answers ({})", facts.error);
  if (facts.count == 0) return "no GPU is there";
  if (!facts.has_code)
    return fmt::format(
        "the GPU ({}) has the architecture {}.{}, which this build has no code for; build with "
        "-DCMAKE_CUDA_ARCHITECTURES={}{}",
        facts.gpu, facts.major, facts.minor, facts.major, facts.minor);
  return facts.missing_library;
}

void tell_used_in_parts(const Tensor& tensor, const std::vector<std::int64_t>& begins) {
  if (tensor.device() != Device::cuda || gpu().emulation == nullptr) return;
  std::vector<std::size_t> bytes;
  for (const std::int64_t begin : begins)
    bytes.push_back(static_cast<std::size_t>(begin) * size_of(tensor.dtype()));
  gpu().emulation->divided(static_cast<std::byte*>(tensor.raw()), bytes);
}

const DeviceKernels& gpu() {
  check(device_cuda != nullptr, ExitCode::device, Cause::needs_cpu, "device cuda: this build has no CUDA");
  return *device_cuda;
}

bool cpu_has_bf16() {
#if defined(__x86_64__)
  return cpu_target() == CpuTarget::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;  // Arm's BFMMLA exists, but Debian's oneDNN does not use it
#endif
}

std::string cpu_model_name() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  return processor_name(cpuinfo);
}

}  // namespace kindred
