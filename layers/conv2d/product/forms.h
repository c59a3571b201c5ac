// The forms of the product, each in a source of its own (product.h describes them). x[rows, in], w[out, in], y[rows, out].
#pragma once

#include <kindred/layers/conv2d/product/product.h>

namespace kindred::cuda {

void naive_product(const Tensor& x, const Tensor& w, Output y);
void tiled_product(const Tensor& x, const Tensor& w, Output y);
void asynchronous_product(const Tensor& x, const Tensor& w, Output y);
void specialised_product(const Tensor& x, const Tensor& w, const ProductInput& input, Output y,
                         const ProductStatistics& statistics);

// Throws an error if a form cannot compute this product.
void check_product(const Tensor& x, const Tensor& w, const Tensor& y);

}  // namespace kindred::cuda
