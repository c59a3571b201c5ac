// cuDNN 9's backend API, opened at run time, and its descriptors as objects.
//
// A descriptor is a bag of attributes that is filled and then finalized: a tensor, an operation, a graph of
// operations, an engine that can run the graph, a plan.
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

// Opens cuDNN when it is first called. Error(device) says what is missing.
const Library& library();

// cuDNN on the GPU at hand; its work goes to the engine's stream. Created when it is first called.
// Error(device).
cudnnHandle_t handle();

// From now on plans are made for a GPU that need not be here: `json` has the properties of a device, as cuDNN
// writes them (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, since 9.8). Such plans can be looked at, not run. It
// is how tests ask cuDNN, without a GPU, whether it supports what the layers will ask of it. False where it
// does not take it.
bool describe_gpu(const std::string& json);
bool is_described();
// The properties of the GPU that plans are made for, as such JSON; nothing before cuDNN 9.8.
std::optional<std::string> gpu_description();

// Whether plans are made for a description of the GPU: of the one at hand too, since cuDNN 9.8. Several threads
// may read a description at once, which NVIDIA rules out for a handle: without one, plans are made in turn.
// The environment variable KINDRED_CUDNN_IN_TURN, set to anything, chooses the handle.
bool plans_are_for_a_description();

// While one of these lives, plans are made for the handle's GPU and in turn; for good after keep().
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

// "" when library() would succeed as far as can be told without a GPU, otherwise why not: what is missing,
// where it was looked for, what to do.
std::string why_missing();

// "cuDNN 9.19.0 in /usr/lib/x86_64-linux-gnu", or why_missing().
std::string where();

// Throws Error(device) that names the call and gives cuDNN's own words.
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

  // The GPU that this is for: by its description where there is one, otherwise by the handle. Nothing where it
  // has no such attribute.
  using Attribute = std::optional<cudnnBackendAttributeName_t>;
  void set_gpu(Attribute by_handle, Attribute by_description);

  // False where cuDNN does not take the value.
  bool try_set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t count,
               const void* values);
  bool try_set_text(cudnnBackendAttributeName_t name, const std::string& text);

  // Fills `values` with at most `capacity` values and returns how many there are.
  std::int64_t get(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, std::int64_t capacity,
                   void* values) const;
  std::optional<std::string> get_text(cudnnBackendAttributeName_t name) const;  // nothing where there is none

  // False where cuDNN does not support what was asked for, which is no error of the program.
  bool try_finalize();
  void finalize(const char* what);

  cudnnBackendDescriptor_t raw() const { return raw_; }

 private:
  cudnnBackendDescriptor_t raw_ = nullptr;
};

}  // namespace kindred::cudnn
