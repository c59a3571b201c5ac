#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn/library.h>
#include <kindred/third_party/search/dynamic_library.h>
#include <kindred/third_party/search/nvidia_versions.h>

#include <atomic>
#include <cstdlib>
#include <utility>

namespace kindred::cudnn {
namespace {

// The parts that libcudnn.so.9 opens by name when they are first needed. If one is missing, cuDNN ends the
// program, so we check for them before any of its functions is called.
constexpr const char* parts[] = {"libcudnn_graph.so.9", "libcudnn_heuristic.so.9",
                                 "libcudnn_engines_precompiled.so.9", "libcudnn_engines_runtime_compiled.so.9"};

struct Opened {
  DynamicLibrary library{{"libcudnn.so.9"}, SearchEnvironment::of_process()};
  std::string missing;  // why it cannot be used; "" if it can
  std::size_t version = 0;
  int cuda = 0;  // the CUDA version it was built for: 13000 for 13.0
};

// Returns the first of cuDNN's parts that is neither beside it nor where dlopen searches, or "".
std::string missing_part(const std::filesystem::path& cudnn) {
  for (const char* part : parts) {
    std::error_code error;
    if (std::filesystem::exists(cudnn.parent_path() / part, error)) continue;
    if (!DynamicLibrary({part}).is_open()) return part;
  }
  return "";
}

Opened open_cudnn() {
  Opened opened;
  const DynamicLibrary& from = opened.library;
  if (!from.is_open()) {
    opened.missing =
        fmt::format("cuDNN 9 is missing ({}); pip install {}, or name its folder in LD_LIBRARY_PATH",
                    from.problem(), nvidia::cudnn_package(CUDART_VERSION));
    return opened;
  }
  if (const std::string part = missing_part(from.path()); !part.empty()) {
    opened.missing = fmt::format("cuDNN in {} is incomplete: {} is not there; install it anew",
                                 from.path().parent_path().string(), part);
    return opened;
  }
  decltype(&::cudnnGetVersion) version = nullptr;
  decltype(&::cudnnGetCudartVersion) cuda = nullptr;
  from.load(version, "cudnnGetVersion");
  from.load(cuda, "cudnnGetCudartVersion");
  opened.version = version();
  opened.cuda = static_cast<int>(cuda());
  const std::string what =
      fmt::format("cuDNN {} in {}", nvidia::version_text(opened.version), from.path().parent_path().string());
  int driver = 0;  // 0 if there is none
  cudaDriverGetVersion(&driver);
  opened.missing = opened.version < 90000
                       ? what + " is too old; 9 is needed"
                       : nvidia::why_too_new(what, opened.cuda, driver, nvidia::cudnn_package(driver));
  return opened;
}

const Opened& opened() {
  static const auto& only = *new Opened(open_cudnn());
  return only;
}

// NVRTC, the compiler for the kernels of cuDNN's newer engines. cuDNN opens it by name. Its wheels for CUDA 12
// look for it in a folder where no wheel installs it (nvidia/nvrtc/lib instead of nvidia/cuda_nvrtc/lib). So we
// open it here first, and then cuDNN finds it by its name.
const DynamicLibrary& compiler() {
  static const auto& only = *new DynamicLibrary({fmt::format("libnvrtc.so.{}", opened().cuda / 1000)},
                                                SearchEnvironment::of_process());
  return only;
}

Library open_library() {
  check(opened().missing.empty(), ExitCode::device, "{}", opened().missing);
  compiler();
  const DynamicLibrary& from = opened().library;
  Library l{};
  from.load(l.create, "cudnnCreate");
  from.load(l.set_stream, "cudnnSetStream");
  from.load(l.error_string, "cudnnGetErrorString");
  from.load(l.last_error_string, "cudnnGetLastErrorString");
  from.load(l.create_descriptor, "cudnnBackendCreateDescriptor");
  from.load(l.destroy_descriptor, "cudnnBackendDestroyDescriptor");
  from.load(l.set_attribute, "cudnnBackendSetAttribute");
  from.load(l.get_attribute, "cudnnBackendGetAttribute");
  from.load(l.finalize, "cudnnBackendFinalize");
  from.load(l.execute, "cudnnBackendExecute");
  from.load(l.version, "cudnnGetVersion");
  return l;
}

constexpr std::size_t knows_descriptions = 90800;  // the first version that can describe GPUs

cudnnHandle_t create_handle() {
  cudnnHandle_t created = nullptr;
  check_status(library().create(&created), "cudnnCreate");
  check_status(library().set_stream(created, cuda::stream()), "cudnnSetStream");
  return created;
}

std::optional<Descriptor>& described_gpu() {
  static auto& description = *new std::optional<Descriptor>;  // leaked: cuDNN may end first
  return description;
}

std::atomic<bool>& handle_was_chosen() {
  static std::atomic<bool> chosen{std::getenv("KINDRED_CUDNN_IN_TURN") != nullptr};
  return chosen;
}

std::optional<Descriptor> describe_handle() {
  Descriptor gpu(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  const cudnnHandle_t at_hand = handle();
  if (!gpu.try_set(CUDNN_ATTR_DEVICEPROP_HANDLE, CUDNN_TYPE_HANDLE, 1, &at_hand) || !gpu.try_finalize())
    return std::nullopt;
  return gpu;
}

// The description of the GPU that plans are made for; null if they are made for the handle's GPU.
const Descriptor* description() {
  if (described_gpu()) return &*described_gpu();
  if (handle_was_chosen() || library().version() < knows_descriptions) return nullptr;
  static const auto& at_hand = *new std::optional<Descriptor>(describe_handle());
  return at_hand ? &*at_hand : nullptr;
}

}  // namespace

const Library& library() {
  static const Library loaded = open_library();
  return loaded;
}

cudnnHandle_t handle() {
  static const cudnnHandle_t created = create_handle();
  return created;
}

bool describe_gpu(const std::string& json) {
  if (library().version() < knows_descriptions) return false;
  Descriptor gpu(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  if (!gpu.try_set_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, json) || !gpu.try_finalize()) return false;
  described_gpu() = std::move(gpu);
  return true;
}

bool is_described() {
  return described_gpu().has_value();
}

std::optional<std::string> gpu_description() {
  if (library().version() < knows_descriptions) return std::nullopt;
  if (const Descriptor* gpu = description()) return gpu->get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
  const std::optional<Descriptor> at_hand = describe_handle();
  return at_hand ? at_hand->get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION) : std::nullopt;
}

bool plans_are_for_a_description() {
  return description() != nullptr;
}

MakePlansByHandle::MakePlansByHandle() : before_(handle_was_chosen().exchange(true)) {}

MakePlansByHandle::~MakePlansByHandle() {
  if (!kept_) handle_was_chosen() = before_;
}

std::string why_missing() {
  return opened().missing;
}

std::string where() {
  if (!opened().missing.empty()) return opened().missing;
  const std::string found = fmt::format("cuDNN {} in {}", nvidia::version_text(opened().version),
                                        opened().library.path().parent_path().string());
  if (compiler().is_open()) return found;
  return fmt::format("{} (without libnvrtc.so.{}, so its compiled plans are left out)", found,
                     opened().cuda / 1000);
}

void check_status(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char detail[512] = "";
  library().last_error_string(detail, sizeof detail);
  fail(ExitCode::device, "cuDNN: {} failed: {} {}", call, library().error_string(status), detail);
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  check_status(library().create_descriptor(type, &raw_), "creating a descriptor");
}

Descriptor::~Descriptor() {
  if (raw_ != nullptr) library().destroy_descriptor(raw_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                     const void* values) {
  check_status(library().set_attribute(raw_, name, type, count, values), "setting an attribute");
}

std::int64_t Descriptor::get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                             std::int64_t capacity, void* values) const {
  std::int64_t count = 0;
  check_status(library().get_attribute(raw_, name, type, capacity, &count, values), "reading an attribute");
  return count;
}

void Descriptor::set_gpu(Attribute by_handle, Attribute by_description) {
  if (const Descriptor* gpu = description()) {
    if (by_description) set(*by_description, *gpu);
  } else if (by_handle) {
    const cudnnHandle_t at_hand = handle();
    set(*by_handle, CUDNN_TYPE_HANDLE, 1, &at_hand);
  }
}

bool Descriptor::try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
                         const void* values) {
  return library().set_attribute(raw_, name, type, count, values) == CUDNN_STATUS_SUCCESS;
}

bool Descriptor::try_set_text(cudnnBackendAttributeName_t name, const std::string& text) {
  return try_set(name, CUDNN_TYPE_CHAR, static_cast<std::int64_t>(text.size()), text.data());
}

std::optional<std::string> Descriptor::get_text(cudnnBackendAttributeName_t name) const {
  std::int64_t size = 0;
  const auto read = [&](std::int64_t capacity, char* to) {
    return library().get_attribute(raw_, name, CUDNN_TYPE_CHAR, capacity, &size, to) == CUDNN_STATUS_SUCCESS;
  };
  if (!read(0, nullptr) || size <= 0) return std::nullopt;
  std::string text(static_cast<std::size_t>(size), '\0');
  if (!read(size, text.data())) return std::nullopt;
  return text;
}

bool Descriptor::try_finalize() {
  return library().finalize(raw_) == CUDNN_STATUS_SUCCESS;
}

void Descriptor::finalize(const char* what) {
  check_status(library().finalize(raw_), what);
}

}  // namespace kindred::cudnn
