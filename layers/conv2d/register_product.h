// A matrix product for the convolutions of this folder, with factors that may lie anywhere in larger arrays. For each kind of
// vectors (engine/cpu/vectors.h).

#if defined(KINDRED_LAYERS_CONV2D_REGISTER_PRODUCT_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef KINDRED_LAYERS_CONV2D_REGISTER_PRODUCT_TARGET
#undef KINDRED_LAYERS_CONV2D_REGISTER_PRODUCT_TARGET
#else
#define KINDRED_LAYERS_CONV2D_REGISTER_PRODUCT_TARGET
#endif

#include <kindred/engine/cpu/vectors.h>

#include <cstddef>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {

// The rows of a product are processed in groups of this size. Other numbers of rows are possible, but the last group then
// takes longer for each row. The sums of half as many rows and two vectors stay in registers, and a third of the registers
// remains for the factors.
constexpr int product_rows = registers == 32 ? 16 : 12;

// c[row][column] (+)= sum over i of a[row * a_row + i * a_step] * b[i * b_step + column]. The number of columns is a multiple
// of `lanes`.
struct Product {
  std::int64_t rows, columns, length;
  std::ptrdiff_t a_row, a_step, b_step, c_row;
  bool accumulate;
};
void multiply(const Product& product, const float* a, const float* b, float* c);

}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
