#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn_library.h>
#include <kindred/third_party/dynamic_library.h>

#include <utility>

namespace kindred::cudnn {
namespace {

const DynamicLibrary& shared_object() {
  static const DynamicLibrary opened{"libcudnn.so.9", "libcudnn.so"};
  return opened;
}

Library open_library() {
  const std::string problem = why_missing();
  check(problem.empty(), ExitCode::device, "{}", problem);
  const DynamicLibrary& from = shared_object();
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

constexpr std::size_t knows_descriptions = 90800;  // the first version that describes GPUs

cudnnHandle_t create_handle() {
  cudnnHandle_t created = nullptr;
  check_status(library().create(&created), "cudnnCreate");
  check_status(library().set_stream(created, cuda::stream()), "cudnnSetStream");
  return created;
}

std::optional<Descriptor>& described_gpu() {
  static std::optional<Descriptor> description;
  return description;
}

}  // namespace

const Library& library() {
  static const Library opened = open_library();
  return opened;
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
  if (const auto& gpu = described_gpu()) return gpu->get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
  Descriptor at_hand(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  at_hand.set_gpu(CUDNN_ATTR_DEVICEPROP_HANDLE, {});
  if (!at_hand.try_finalize()) return std::nullopt;
  return at_hand.get_text(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION);
}

std::string why_missing() {
  const DynamicLibrary& from = shared_object();
  if (!from.is_open())
    return fmt::format("cuDNN 9 is missing ({}); install it or name its folder in LD_LIBRARY_PATH",
                       from.problem());
  decltype(&::cudnnGetVersion) version = nullptr;
  from.load(version, "cudnnGetVersion");
  if (version() < 90000) return fmt::format("cuDNN {} is too old; 9 is needed", version());
  return "";
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
  if (const auto& gpu = described_gpu()) {
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
