// cuDNN 9's backend API, opened at run time, and its descriptors as objects.
//
// A descriptor is a set of attributes that is filled and then finalized. It describes a tensor, an operation, a
// graph of operations, an engine that can run the graph, or a plan.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred::cudnn {

struct Library {
  decltype(&::cudnnCreate) create;
  decltype(&::cudnnSetStream) set_stream;
  decltype(&::cudnnGetErrorString) error_string;
  decltype(&::cudnnGetLastErrorString) last_error_string;
  decltype(&::cudnnBackendCreateDescriptor) create_descriptor;
  decltype(&::cudnnBackendDestroyDescriptor) destroy_descriptor;
  decltype(&::cudnnBackendSetAttribute) set_attribute;
  decltype(&::cudnnBackendGetAttribute) get_attribute;
  decltype(&::cudnnBackendFinalize) finalize;
  decltype(&::cudnnBackendExecute) execute;
  decltype(&::cudnnGetVersion) version;
};

// The first call opens cuDNN. Throws Error(device), which says what is missing.
const Library& library();

// cuDNN's handle for the current GPU; its work goes to the engine's stream. The first call creates it. Throws
// Error(device).
cudnnHandle_t handle();

// From now on plans are made for a GPU that need not be present: `json` has the properties of a device, in
// cuDNN's format (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, since 9.8). Such plans can be inspected but not
// run. Tests use this to ask cuDNN, without a GPU, whether it supports what the layers will need. Returns false
// if cuDNN rejects the description.
bool describe_gpu(const std::string& json);
bool is_described();
// The properties of the GPU that plans are made for, in the same JSON format. Returns nullopt before cuDNN 9.8.
std::optional<std::string> gpu_description();

// Returns true if plans are made for a description of the GPU. Since cuDNN 9.8 this includes the GPU that is
// present. Several threads may use a description at the same time, but NVIDIA does not allow this for a handle,
// so without a description plans are made one at a time. Setting the environment variable KINDRED_CUDNN_IN_TURN
// to any value selects the handle.
bool plans_are_for_a_description();

// While one of these exists, plans are made for the handle's GPU, one at a time. After keep() this stays so.
class MakePlansByHandle {
 public:
  MakePlansByHandle();
  ~MakePlansByHandle();
  MakePlansByHandle(const MakePlansByHandle&) = delete;
  MakePlansByHandle& operator=(const MakePlansByHandle&) = delete;
  void keep() { kept_ = true; }

 private:
  bool before_, kept_ = false;
};

// Returns "" if library() would succeed, as far as this can be determined without a GPU. Otherwise says why
// not: what is missing, where it was looked for, and what to do.
std::string why_missing();

// "cuDNN 9.19.0 in /usr/lib/x86_64-linux-gnu", or why_missing().
std::string where();

// Throws Error(device), which names the call and quotes cuDNN's message.
void check_status(cudnnStatus_t status, const char* call);

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : raw_(other.raw_) { other.raw_ = nullptr; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }

  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
           const void* values);
  void set(cudnnBackendAttributeName_t name, std::int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const std::vector<std::int64_t>& values) {
    set(name, CUDNN_TYPE_INT64, static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, bool value) { set(name, CUDNN_TYPE_BOOLEAN, 1, &value); }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other.raw_);
  }

  // Sets the GPU that this descriptor is for: by its description if there is one, and otherwise by the handle.
  // An attribute that the descriptor does not have is nullopt, and then nothing is set.
  using Attribute = std::optional<cudnnBackendAttributeName_t>;
  void set_gpu(Attribute by_handle, Attribute by_description);

  // Returns false if cuDNN rejects the value.
  bool try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
               const void* values);
  bool try_set_text(cudnnBackendAttributeName_t name, const std::string& text);

  // Writes at most `capacity` values to `values` and returns how many there are.
  std::int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t capacity,
                   void* values) const;
  std::optional<std::string> get_text(cudnnBackendAttributeName_t name) const;  // nullopt if there is none

  // Returns false if cuDNN does not support the request. That is not an error of the program.
  bool try_finalize();
  void finalize(const char* what);

  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace kindred::cudnn
