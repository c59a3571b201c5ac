#include <kindred/engine/device_kernels.h>
#include <kindred/engine/kernels/with_type.h>
#include <kindred/engine/kernels/work.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/tensor.h>

#include <fmt/format.h>  // defines: fmt::formatter

#include <algorithm>
#include <atomic>
#include <cstring>

namespace kindred {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  check(extents.size() <= max_rank, ExitCode::internal, "a tensor has at most {} axes, not {}", int{max_rank},
        extents.size());
  std::copy(extents.begin(), extents.end(), extents_.begin());
}

std::int64_t Shape::numel() const {
  std::int64_t product = 1;
  for (int axis = 0; axis < rank_; ++axis) product *= (*this)[axis];
  return product;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) text += (axis ? ", " : "") + std::to_string((*this)[axis]);
  return text + "]";
}

struct Tensor::Storage {
  Storage(std::size_t size, Device where)
      : pool(shared_memory_pool(where)), bytes(size), data(pool->allocate(size)) {}
  ~Storage() { pool->free(data); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::shared_ptr<MemoryPool> pool;
  std::size_t bytes;
  std::byte* data;
};

namespace {

// Used on the device `plan`.
const WorkKind fill_kind("fill"), copy_kind("copy");

std::uint64_t next_id() {
  static std::atomic<std::uint64_t> counter{0};
  return ++counter;
}

}  // namespace

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  for (int axis = 0; axis < shape.rank(); ++axis)
    check(shape[axis] >= 0, ExitCode::internal, "a tensor cannot have the shape {}", shape);
  Tensor tensor;
  tensor.storage_ = std::make_shared<Storage>(static_cast<std::size_t>(shape.numel()) * size_of(dtype), device);
  tensor.shape_ = shape;
  tensor.dtype_ = dtype;
  // By default the gradient of an activation has the activation's type. stand_for() changes this for copies of
  // master weights.
  tensor.gradient_dtype_ = dtype;
  tensor.device_ = device;
  tensor.id_ = next_id();
  return tensor;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.fill(0);
  return tensor;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor tensor = empty(shape, dtype, device);
  tensor.fill(value);
  return tensor;
}

template <typename T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  check(static_cast<std::int64_t>(values.size()) == shape.numel(), ExitCode::internal,
        "{} values cannot fill a tensor of shape {}", values.size(), shape);
  Tensor tensor = empty(shape, dtype_of<T>, device);
  if (device == Device::plan) return tensor;
  if (device == Device::cuda)
    gpu().upload(values.data(), tensor.raw(), tensor.bytes());
  else
    std::copy(values.begin(), values.end(), tensor.data<T>());
  return tensor;
}
template Tensor Tensor::from(std::span<const float>, const Shape&, Device);
template Tensor Tensor::from(std::span<const double>, const Shape&, Device);
template Tensor Tensor::from(std::span<const std::int32_t>, const Shape&, Device);
template Tensor Tensor::from(std::span<const std::uint8_t>, const Shape&, Device);

void Tensor::refuse_undefined() {
  fail(ExitCode::internal,
       "a tensor was used that is undefined: it was made by Tensor() and never set, or belongs to a "
       "ParameterStore "
       "without allocate()");
}

void* Tensor::raw() const {
  return storage_ ? storage_->data + offset_bytes_ : nullptr;
}

std::size_t Tensor::storage_bytes() const {
  return storage_ ? storage_->bytes : 0;
}

Tensor Tensor::reshape(const Shape& shape) const {
  check(shape.numel() == numel(), ExitCode::internal, "a tensor of shape {} cannot be seen as {}", shape_,
        shape);
  return window(0, shape);
}

Tensor Tensor::window(std::int64_t first_element, const Shape& shape) const {
  check(first_element >= 0 && first_element + shape.numel() <= numel(), ExitCode::internal,
        "elements {} to {} are outside a tensor of shape {}", first_element, first_element + shape.numel(),
        shape_);
  Tensor view = *this;
  view.offset_bytes_ += static_cast<std::size_t>(first_element) * size_of(dtype_);
  view.shape_ = shape;
  view.id_ = next_id();
  view.requires_grad_ = false;
  view.needs_gradient_buffer_ = false;
  view.gradient_dtype_ = dtype_;
  return view;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  check(shape_.rank() >= 1 && begin <= end, ExitCode::internal, "rows {} to {} of a tensor of shape {}", begin,
        end, shape_);
  std::array<std::int64_t, Shape::max_rank> extents{};
  for (int axis = 0; axis < shape_.rank(); ++axis) extents[static_cast<std::size_t>(axis)] = shape_[axis];
  extents[0] = end - begin;
  const std::int64_t row = shape_[0] == 0 ? 0 : numel() / shape_[0];
  return window(begin * row,
                Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(shape_.rank()))));
}

void Tensor::fill(double value) {
  if (!defined()) refuse_undefined();
  if (device_ == Device::plan) return record_work(fill_kind, {.written = bytes_of({*this})});
  if (device_ == Device::cuda) return gpu().fill(Output(*this), value);
  if (value == 0) {
    std::memset(raw(), 0, bytes());
    return;
  }
  with_type(dtype_, [&]<typename T>(T) { std::fill_n(data<T>(), numel(), convert_element<T>(value)); });
}

void Tensor::copy_from(const Tensor& source) {
  check(source.numel() == numel(), ExitCode::internal,
        "a tensor of shape {} cannot be copied into one of shape {}", source.shape(), shape_);
  if (device_ == Device::plan || source.device() == Device::plan)
    return record_work(copy_kind, {.read = bytes_of({source}), .written = bytes_of({*this})});
  const bool to_gpu = device_ == Device::cuda, from_gpu = source.device() == Device::cuda;
  if (to_gpu && from_gpu) return gpu().convert(source, Output(*this));
  if (to_gpu || from_gpu) {
    // Convert on the source's side, then move the bytes.
    const Tensor moved = source.dtype() == dtype_ ? source : source.to(source.device(), dtype_);
    if (to_gpu) return gpu().upload(moved.raw(), raw(), bytes());
    return gpu().download(moved.raw(), raw(), bytes());
  }
  with_type(dtype_, [&]<typename To>(To) {
    with_type(source.dtype(), [&]<typename From>(From) {
      std::transform(source.data<From>(), source.data<From>() + numel(), data<To>(), convert_element<To, From>);
    });
  });
}

Tensor Tensor::to(Device device, DType dtype) const {
  Tensor copy = empty(shape(), dtype, device);
  copy.copy_from(*this);
  return copy;
}

template <typename T>
std::vector<T> Tensor::to_vector() const {
  if (!defined()) refuse_undefined();
  if (device_ == Device::cuda) return to(Device::cpu, dtype_).to_vector<T>();
  check(is_host(device_), ExitCode::internal, "a tensor on device {} was read", name(device_));
  std::vector<T> values(static_cast<std::size_t>(numel()));
  with_type(dtype_, [&]<typename From>(From) {
    std::transform(data<From>(), data<From>() + numel(), values.begin(), convert_element<T, From>);
  });
  return values;
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<std::int32_t> Tensor::to_vector() const;
template std::vector<std::uint8_t> Tensor::to_vector() const;

void Tensor::stand_for(const Tensor& other) {
  check(shape_ == other.shape(), ExitCode::internal, "a tensor of shape {} cannot stand for one of shape {}",
        shape_, other.shape());
  id_ = other.id_;
  requires_grad_ = other.requires_grad_;
  needs_gradient_buffer_ = other.needs_gradient_buffer_;
  gradient_dtype_ = other.gradient_dtype_;
}

void check_shape(const Tensor& tensor, const Shape& expected, const char* what) {
  check(tensor.defined(), ExitCode::internal, "{}: a tensor of shape {} is missing", what, expected);
  check(tensor.shape() == expected, ExitCode::internal, "{} has the shape {}, expected {}", what,
        tensor.shape(), expected);
}

void check_same_device(const Tensor& a, const Tensor& b, const char* what) {
  check(a.device() == b.device(), ExitCode::internal, "{}: one tensor is on {}, the other on {}", what,
        name(a.device()), name(b.device()));
}

}  // namespace kindred

fmt::format_context::iterator fmt::formatter<kindred::Shape>::format(const kindred::Shape& shape,
                                                                     fmt::format_context& context) const {
  return fmt::formatter<std::string_view>::format(shape.to_string(), context);
}
