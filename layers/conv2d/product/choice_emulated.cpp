// The emulation has no cuDNN and no time: where products are asked for, all that can be are taken.
#include <kindred/layers/conv2d/product/asked.h>

namespace kindred {
namespace {

bool usable() {
  return true;
}

bool is_faster(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& y) {
  return cuda::products_are_asked_for() && cuda::can_be_product(s, x, w, y);
}

const ProductChoice choice = {usable, is_faster};

}  // namespace

const ProductChoice* const product_choice_cuda = &choice;

}  // namespace kindred
