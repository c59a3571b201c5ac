// Moving several elements at a time: shared by bandwidth-bound elementwise kernels. Only .cu files include this
// header.
//
// A pack of 16 bytes can be moved only if its address is a multiple of 16, but tensors may be windows that
// start anywhere. So such kernels are templates on the width of a pack, and the host chooses between a full
// pack and a single element.
#pragma once

#include <kindred/engine/cuda/launch.h>

namespace kindred::cuda {

template <int width, typename T>
__device__ Pack<T, width> load(const T* from) {
  return *reinterpret_cast<const Pack<T, width>*>(from);
}

template <int width, typename T>
__device__ void store(T* to, const Pack<T, width>& pack) {
  *reinterpret_cast<Pack<T, width>*>(to) = pack;
}

// Returns true if pack_width<T> elements can be moved at once at every address. The addresses point to T or to
// smaller types that are moved along with it.
template <typename T, typename... Elements>
bool packs_fit(const Elements*... addresses) {
  return ((reinterpret_cast<std::uintptr_t>(addresses) % (pack_width<T> * sizeof(Elements)) == 0) && ...);
}

// Calls body.operator()<width>(), where `width` is the width of a full pack, or 1.
template <typename T, typename Body>
void with_width(bool full, Body&& body) {
  if (full)
    body.template operator()<pack_width<T>>();
  else
    body.template operator()<1>();
}

// Calls body.operator()<n>(i) for the elements [i, i + n) of this thread. n is `width`, or 1 for the elements
// after the last whole pack. The grid is blocks_for(count, threads * width).
template <int width, int threads, typename Body>
__device__ void for_packs(std::int64_t count, Body body) {
  const std::int64_t first = (std::int64_t{blockIdx.x} * threads + threadIdx.x) * width;
  if (first + width <= count)
    body.template operator()<width>(first);
  else
    for (std::int64_t i = first; i < count; ++i) body.template operator()<1>(i);
}

}  // namespace kindred::cuda
