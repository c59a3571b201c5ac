// Converts between Kindred's order of a filter's elements and that of files.
//
// Filters are [out, kh, kw, in] in memory, the layout that the fast kernels need, and [out, in, kh, kw] in
// files, as torchvision writes them. All other tensors have the same order in both.
#pragma once

#include <kindred/engine/tensor.h>

#include <vector>

namespace kindred {

// The shape that a tensor has in a file.
std::vector<std::int64_t> file_shape(const Shape& shape);

// The elements in file order, converted to T (float or double).
template <typename T>
std::vector<T> to_file_order(const Tensor& tensor);

// Sets the tensor from elements in file order.
template <typename T>
void from_file_order(const std::vector<T>& values, const Tensor& tensor);

}  // namespace kindred
