// The pass of direct.h that has a source of its own, for each kind of vectors (engine/cpu/vectors.h).

#if defined(KINDRED_LAYERS_CONV2D_DIRECT_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef KINDRED_LAYERS_CONV2D_DIRECT_TARGET
#undef KINDRED_LAYERS_CONV2D_DIRECT_TARGET
#else
#define KINDRED_LAYERS_CONV2D_DIRECT_TARGET
#endif

#include <kindred/engine/cpu/vectors.h>
#include <kindred/engine/kernels/conv_shape.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::direct::HWY_NAMESPACE {

using namespace kindred::HWY_NAMESPACE;

void backward_weight(const ConvShape& s, const float* x, const float* dy, float* dw);

}  // namespace kindred::direct::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
