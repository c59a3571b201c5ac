// Moving several elements at a time: what bandwidth-bound kernels of single elements share. Included by .cu
// files alone.
//
// A pack of 16 bytes can be moved only where its address is a multiple of 16, and tensors may be windows that
// start anywhere. So such kernels are templates on the width of a pack, and the host chooses between a full one
// and one of a single element.
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

// Whether pack_width<T> elements move at once at each address: T's own and, alongside, those of smaller types.
template <typename T, typename... Elements>
bool packs_fit(const Elements*... addresses) {
  return ((reinterpret_cast<std::uintptr_t>(addresses) % (pack_width<T> * sizeof(Elements)) == 0) && ...);
}

// Calls body.operator()<width>() with the width of a full pack, or 1.
template <typename T, typename Body>
void with_width(bool full, Body&& body) {
  if (full)
    body.template operator()<pack_width<T>>();
  else
    body.template operator()<1>();
}

// Calls body.operator()<n>(i) for the elements [i, i + n) of this thread: n is `width`, or 1 in what is left
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
