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
  const cudnnStatus_t created = l.create(&l.handle);
  check(created == CUDNN_STATUS_SUCCESS, ExitCode::device, "cuDNN: cudnnCreate failed: {}",
        l.error_string(created));
  const cudnnStatus_t streamed = l.set_stream(l.handle, cuda::stream());
  check(streamed == CUDNN_STATUS_SUCCESS, ExitCode::device, "cuDNN: cudnnSetStream failed: {}",
        l.error_string(streamed));
  return l;
}

}  // namespace

const Library& library() {
  static const Library opened = open_library();
  return opened;
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

bool Descriptor::try_set(cudnnBackendAttributeName_t name, std::int64_t value) {
  return library().set_attribute(raw_, name, CUDNN_TYPE_INT64, 1, &value) == CUDNN_STATUS_SUCCESS;
}

bool Descriptor::try_finalize() {
  return library().finalize(raw_) == CUDNN_STATUS_SUCCESS;
}

void Descriptor::finalize(const char* what) {
  check_status(library().finalize(raw_), what);
}

}  // namespace kindred::cudnn
