#include <kindred/bench/hopper/described_gpu.h>
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>

#include <cuda_runtime.h>
#include <fmt/format.h>
#include <fmt/ranges.h>  // defines: fmt::join
#include <sys/mman.h>    // defines: mmap

#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>

namespace kindred {
namespace described_gpu {
namespace {

using Address = std::uintptr_t;
using Extents = std::map<Address, std::size_t>;  // where a range begins, and its bytes

constexpr std::size_t memory_bytes = std::size_t{139} << 30;
constexpr std::size_t address_space = std::size_t{1} << 42;  // slabs that were given back are not used again

struct Gpu {
  std::mutex mutex;
  std::ofstream log;
  std::filesystem::path path;
  std::map<std::string, std::vector<std::size_t>> parameter_sizes;
  std::map<const void*, std::string> kernels;  // by the address of their stub on the host
  Address memory = 0, next = 0;
  Extents slabs, blocks, parts;
  std::map<Address, std::string> known;  // what tables in blocks of their own hold, by block
  std::map<std::string, int> numbers;    // of these texts, in the log
};

// Never destroyed: kernels are registered before main, and tensors of static lifetime are freed after it.
Gpu& here() {
  static auto* only = new Gpu;
  return *only;
}

// The bytes from `at` to the end of the range that holds it.
std::optional<std::size_t> rest_of(const Extents& extents, Address at) {
  auto found = extents.upper_bound(at);
  if (found == extents.begin()) return {};
  --found;
  const Address end = found->first + found->second;
  return at < end ? std::optional(end - at) : std::nullopt;
}

std::string word_text(const Gpu& gpu, std::uint64_t word) {
  if (word < gpu.memory || word >= gpu.next || gpu.memory == 0) return fmt::format("{}", word);
  const std::size_t block = rest_of(gpu.blocks, word).value_or(0);
  const auto known = gpu.known.find(word);
  const std::string contents =
      known == gpu.known.end() ? "" : fmt::format("={}", gpu.numbers.at(known->second));
  return fmt::format("@{}/{}{}", rest_of(gpu.parts, word).value_or(block), block, contents);
}

// The words of a kernel's parameters.
std::vector<std::string> words_of(const Gpu& gpu, const std::vector<std::size_t>& sizes, void** arguments) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (std::size_t at = 0; at < sizes[i]; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, static_cast<const char*>(arguments[i]) + at, std::min<std::size_t>(8, sizes[i] - at));
      words.push_back(word_text(gpu, word));
    }
  return words;
}

}  // namespace

void open_log(const std::filesystem::path& log, const std::filesystem::path& parameter_sizes) {
  Gpu& gpu = here();
  gpu.path = log;
  gpu.log.open(log);
  check(gpu.log.good(), ExitCode::io, "{}: cannot be written", log.string());
  std::ifstream sizes(parameter_sizes);
  check(sizes.good(), ExitCode::file, "{}: cannot be read; table.py writes it", parameter_sizes.string());
  for (std::string line; std::getline(sizes, line);) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    std::vector<std::size_t>& of_kernel = gpu.parameter_sizes[name];
    for (std::size_t bytes = 0; fields >> bytes;) of_kernel.push_back(bytes);
  }
}

void close_log() {
  Gpu& gpu = here();
  gpu.log.close();
  check(gpu.log.good(), ExitCode::io, "{}: could not be written", gpu.path.string());
}

void write(const char* event, const std::vector<std::string>& fields) {
  Gpu& gpu = here();
  const std::lock_guard lock(gpu.mutex);
  if (gpu.log.is_open()) gpu.log << fmt::format("{}\t{}\n", event, fmt::join(fields, "\t"));
}

void mark(const std::string& text) {
  write("mark", {text});
}

void name_part(const Tensor& tensor) {
  if (tensor.defined()) here().parts[reinterpret_cast<Address>(tensor.raw())] = tensor.bytes();
}

// What CUDA's runtime does for a launch.
void start_kernel(const void* stub, dim3 grid, dim3 block, void** arguments, std::size_t shared) {
  Gpu& gpu = here();
  const auto name = gpu.kernels.find(stub);
  check(name != gpu.kernels.end(), ExitCode::internal, "a kernel was started that was never registered");
  const auto sizes = gpu.parameter_sizes.find(name->second);
  check(sizes != gpu.parameter_sizes.end(), ExitCode::file,
        "{} is not among the kernels whose parameters are known: build the program and its table together",
        name->second);
  std::vector<std::string> fields{name->second, fmt::format("{} {} {}", grid.x, grid.y, grid.z),
                                  fmt::format("{}", block.x * block.y * block.z), fmt::format("{}", shared)};
  fields.push_back(fmt::format("{}", fmt::join(words_of(gpu, sizes->second, arguments), " ")));
  write("launch", fields);
}

namespace {

GpuProbe probe() {
  GpuProbe result;
  result.usable = true;
  result.name = "NVIDIA H200 (described, nothing is computed)";
  result.memory = memory_bytes;
  result.multiprocessors = 132;
  return result;
}

std::byte* acquire(std::size_t bytes) {
  Gpu& gpu = here();
  if (gpu.memory == 0) {
    // Addresses that nothing else has, and that fault where the host reads them.
    void* area = mmap(nullptr, address_space, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(area != MAP_FAILED, ExitCode::device, "no address space of {} GiB for a described GPU: ulimit -v",
          address_space >> 30);
    gpu.memory = gpu.next = (reinterpret_cast<Address>(area) + 4095) / 4096 * 4096;
  }
  std::size_t used = bytes;
  for (const auto& [begin, size] : gpu.slabs) used += size;
  if (used > memory_bytes) return nullptr;
  const Address begin = gpu.next;
  gpu.next += (bytes + 4095) / 4096 * 4096;
  gpu.slabs[begin] = bytes;
  return reinterpret_cast<std::byte*>(begin);
}

void release(std::byte* slab) {
  here().slabs.erase(reinterpret_cast<Address>(slab));
}

void free_and_total(std::size_t& free, std::size_t& total) {
  free = total = memory_bytes;
}

// A table that fills a block is kept: sizes in it decide how long loops are.
void upload(const void* host, void* device, std::size_t bytes) {
  write("copy", {"up", fmt::format("{}", bytes)});
  Gpu& gpu = here();
  const auto block = gpu.blocks.find(reinterpret_cast<Address>(device));
  constexpr std::size_t largest_table = std::size_t{1} << 16, block_granule = 256;
  if (block == gpu.blocks.end() || bytes > largest_table || bytes + block_granule <= block->second) return;
  const auto* from = static_cast<const unsigned char*>(host);
  const std::string text = fmt::format("{:02x}", fmt::join(from, from + bytes, ""));
  const auto [known, is_new] = gpu.numbers.emplace(text, static_cast<int>(gpu.numbers.size()));
  gpu.known[block->first] = text;
  if (is_new) write("data", {fmt::format("{}", known->second), text});
}

void download(const void*, void* host, std::size_t bytes) {
  std::memset(host, 0, bytes);
  write("copy", {"down", fmt::format("{}", bytes)});
}

void set_bytes(void*, int, std::size_t bytes) {
  write("fill", {fmt::format("{}", bytes)});
}

bool is_on_gpu(const void* address) {
  const auto at = reinterpret_cast<Address>(address);
  return at >= here().memory && at < here().next;
}

void copy_bytes(const void* from, void* to, std::size_t bytes, GpuStream) {
  if (!is_on_gpu(to)) std::memset(to, 0, bytes);
  write("copy", {!is_on_gpu(from) ? "up" : is_on_gpu(to) ? "here" : "down", fmt::format("{}", bytes)});
}

int nothing;  // the address of every event and recording

const GpuEmulation watched = {
    [](std::byte* block, std::size_t bytes) { here().blocks[reinterpret_cast<Address>(block)] = bytes; },
    [](std::byte* block) {
      here().blocks.erase(reinterpret_cast<Address>(block));
      here().known.erase(reinterpret_cast<Address>(block));
    },
    [](std::byte*, const std::vector<std::size_t>&) {},
    [](std::uint64_t) {},
    [] {},
    [] {},
    [] {},
};

const DeviceKernels kernels = {
    probe,
    acquire,
    release,
    free_and_total,
    upload,
    download,
    set_bytes,
    cuda::fill,
    cuda::convert,
    cuda::randomize,
    [] {},
    [](std::size_t bytes) { return std::calloc(bytes, 1); },
    [](void* area) { std::free(area); },
    copy_bytes,
    []() -> void* { return &nothing; },
    [](void*) {},
    [](void*, GpuStream) {},
    [](void*, GpuStream) {},
    [](void*) {},
    [](void*, void*) { return 1.0f; },
    [] { write("record", {}); },
    []() -> void* {
      write("recorded", {});
      return &nothing;
    },
    [](void*) { write("replay", {}); },
    [](void*) {},
    [](std::function<void(double)>) {},
    &watched,
};

}  // namespace
}  // namespace described_gpu

const DeviceKernels* const device_cuda = &described_gpu::kernels;

namespace cuda {

void check_status(cudaError_t status, const char* call) {
  check(status == cudaSuccess, ExitCode::internal, "CUDA: {} failed on a GPU that computes nothing", call);
}
cudaStream_t stream() {
  return nullptr;
}
cudaStream_t communicate_stream() {
  return nullptr;
}

}  // namespace cuda
}  // namespace kindred

// ---- the part of CUDA's runtime that nvcc's code for the host calls: kernels are registered before main, and a
// launch passes its grid through a stack of one.
namespace {

struct Configuration {
  dim3 grid, block;
  std::size_t shared = 0;
};
Configuration pushed;

}  // namespace

extern "C" {

void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, const char* stub, char*, const char* name, int, uint3*, uint3*, dim3*,
                            dim3*, int*) {
  kindred::described_gpu::here().kernels[stub] = name;
}
void __cudaRegisterVar(void**, char*, char*, const char*, int, std::size_t, int, int) {
}  // a table of constants
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, std::size_t shared, CUstream_st*) {
  pushed = {grid, block, shared};
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3* grid, dim3* block, std::size_t* shared, void*) {
  *grid = pushed.grid;
  *block = pushed.block;
  *shared = pushed.shared;
  return cudaSuccess;
}
cudaError_t __cudaGetKernel(cudaKernel_t* kernel, const void* stub) {
  *kernel = reinterpret_cast<cudaKernel_t>(const_cast<void*>(stub));
  return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t kernel, dim3 grid, dim3 block, void** arguments, std::size_t shared,
                               cudaStream_t) {
  kindred::described_gpu::start_kernel(kernel, grid, block, arguments, shared);
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}
// What is not known of an H200 here is an error, so that no kernel is chosen by a number that was made up.
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
      return *value = 132, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *value = 227 << 10, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return *value = 228 << 10, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return *value = 9, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return *value = 0, cudaSuccess;
    default:
      return cudaErrorInvalidValue;
  }
}
cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute, int) {
  return cudaSuccess;
}
}
