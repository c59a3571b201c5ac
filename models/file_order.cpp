#include <kindred/models/file_order.h>

namespace kindred {
namespace {

// Calls visit(index in memory, index in the file) for every element.
template <typename Visit>
void for_each_element(const Shape& shape, Visit&& visit) {
  if (shape.rank() != 4) {
    for (std::int64_t i = 0; i < shape.numel(); ++i)
      visit(static_cast<std::size_t>(i), static_cast<std::size_t>(i));
    return;
  }
  const std::int64_t out = shape[0], kh = shape[1], kw = shape[2], in = shape[3];
  for (std::int64_t o = 0; o < out; ++o)
    for (std::int64_t a = 0; a < kh; ++a)
      for (std::int64_t b = 0; b < kw; ++b)
        for (std::int64_t i = 0; i < in; ++i)
          visit(static_cast<std::size_t>(((o * kh + a) * kw + b) * in + i),
                static_cast<std::size_t>(((o * in + i) * kh + a) * kw + b));
}

}  // namespace

std::vector<std::int64_t> file_shape(const Shape& shape) {
  if (shape.rank() == 4) return {shape[0], shape[3], shape[1], shape[2]};
  std::vector<std::int64_t> extents;
  for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  return extents;
}

template <typename T>
std::vector<T> to_file_order(const Tensor& tensor) {
  const std::vector<T> memory = tensor.to_vector<T>();
  std::vector<T> file(memory.size());
  for_each_element(tensor.shape(), [&](std::size_t m, std::size_t f) { file[f] = memory[m]; });
  return file;
}
template std::vector<float> to_file_order(const Tensor&);
template std::vector<double> to_file_order(const Tensor&);

template <typename T>
void from_file_order(const std::vector<T>& values, const Tensor& tensor) {
  check(static_cast<std::int64_t>(values.size()) == tensor.numel(), ExitCode::internal,
        "{} values cannot set a tensor of shape {}", values.size(), tensor.shape());
  std::vector<T> memory(values.size());
  for_each_element(tensor.shape(), [&](std::size_t m, std::size_t f) { memory[m] = values[f]; });
  Tensor(tensor).copy_from(Tensor::from(memory, tensor.shape(), tensor.device()));
}
template void from_file_order(const std::vector<float>&, const Tensor&);
template void from_file_order(const std::vector<double>&, const Tensor&);

}  // namespace kindred
