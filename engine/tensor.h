// A tensor: shape, element type and device of a contiguous window on shared storage. There are no strides.
//
// Copying a Tensor copies the handle; both see the same bytes. Images are [N, H, W, C] and filters [out, kh,
// kw, in] on every device. When the last reference to a storage goes away, its block returns to the device's
// pool at once.
#pragma once

#include <kindred/engine/device.h>
#include <kindred/engine/dtype.h>
#include <kindred/engine/error.h>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kindred {

// Up to four extents. Rank 0 is a scalar with one element.
class Shape {
 public:
  static constexpr int max_rank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  std::int64_t back() const { return rank_ == 0 ? 1 : (*this)[rank_ - 1]; }
  std::int64_t numel() const;
  bool operator==(const Shape&) const = default;
  std::string to_string() const;  // "[8, 224, 224, 3]"

 private:
  std::array<std::int64_t, max_rank> extents_{};
  int rank_ = 0;
};

class Tensor {
 public:
  // Undefined: means "no tensor". It has no shape and no elements; whoever asks for them gets an Error(internal).
  Tensor() = default;

  static Tensor empty(const Shape& shape, DType dtype, Device device);  // the bytes are not initialized
  static Tensor zeros(const Shape& shape, DType dtype, Device device);
  static Tensor full(const Shape& shape, double value, DType dtype, Device device);
  static Tensor empty_like(const Tensor& other) { return empty(other.shape(), other.dtype(), other.device()); }
  template <typename T>
  static Tensor from(std::span<const T> values, const Shape& shape, Device device);
  template <typename T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device) {
    return from(std::span<const T>(values), shape, device);
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const {
    if (!defined()) refuse_undefined();
    return shape_;
  }
  std::int64_t dim(int axis) const { return shape()[axis]; }
  std::int64_t numel() const { return shape().numel(); }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }

  // The elements. T must be the tensor's type. This is a host pointer only if is_host(device()).
  template <typename T>
  T* data() const {
    if (!defined()) refuse_undefined();
    check(dtype_of<T> == dtype_, ExitCode::internal, "a {} tensor was read as {}", name(dtype_),
          name(dtype_of<T>));
    return static_cast<T*>(raw());
  }
  void* raw() const;  // of any type; null if the tensor is undefined, for kernels with optional arguments

  // Views of the same bytes. To the tape they are new tensors: no gradient flows through them.
  Tensor reshape(const Shape& shape) const;
  Tensor window(std::int64_t first_element, const Shape& shape) const;
  Tensor rows(std::int64_t begin, std::int64_t end) const;  // along the first axis

  void fill(double value);
  void copy_from(const Tensor& source);         // same shape; converts to this element type
  Tensor to(Device device, DType dtype) const;  // a copy
  template <typename T>
  std::vector<T> to_vector() const;  // converted to T, on the host

  // The tensor's identity on the tape (engine/tape.h). Copies of a handle share it.
  std::uint64_t id() const { return id_; }
  bool requires_grad() const { return requires_grad_; }
  Tensor& set_requires_grad(bool value = true) {
    requires_grad_ = value;
    return *this;
  }
  // Whether a gradient of this tensor must have a buffer on the tape. True for parameters (engine/parameters.h): an
  // optimizer reads their gradients there, and a gradient that is elsewhere would be lost without a word.
  bool needs_gradient_buffer() const { return needs_gradient_buffer_; }
  void set_needs_gradient_buffer() { needs_gradient_buffer_ = true; }
  // Makes this tensor represent `other` on the tape: its gradient becomes the gradient of `other`, in that
  // tensor's shape and type. Used for low-precision copies of master weights.
  void stand_for(const Tensor& other);
  DType gradient_dtype() const { return gradient_dtype_; }

  // Identifies the storage, so that code that sums up memory counts shared storage once.
  const void* storage_key() const { return storage_.get(); }
  std::size_t storage_bytes() const;

 private:
  struct Storage;

  [[noreturn]] static void refuse_undefined();

  std::shared_ptr<Storage> storage_;
  std::size_t offset_bytes_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
  DType gradient_dtype_ = DType::f32;
  Device device_ = Device::cpu;
  bool requires_grad_ = false;
  bool needs_gradient_buffer_ = false;
  std::uint64_t id_ = 0;
};

// A tensor that a function writes. The conversion is explicit, so a call shows what it changes,
// `kernels.forward(x, Output(y))`, and the compiler refuses an input in the place of a result. An empty Output
// means "this result is not wanted", where a function allows it.
class Output : public Tensor {
 public:
  Output() = default;
  explicit Output(const Tensor& tensor) : Tensor(tensor) {}
};

// Throws an error with the given and the expected value if the shape, type or device of `tensor` differs.
void check_shape(const Tensor& tensor, const Shape& expected, const char* what);
void check_same_device(const Tensor& a, const Tensor& b, const char* what);

}  // namespace kindred

// Messages can take a Shape directly, so a check that passes creates no text.
template <>
struct fmt::formatter<kindred::Shape> : fmt::formatter<std::string_view> {
  fmt::format_context::iterator format(const kindred::Shape& shape, fmt::format_context& context) const;
};
