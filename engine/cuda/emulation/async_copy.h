// The emulation's form of engine/cuda/async_copy.h.
#pragma once

#include <cstddef>

namespace kindred::cuda {

namespace emulated {
void async_copy(void* to, const void* from, std::size_t bytes, bool whole);
}

template <int bytes>
[[gnu::always_inline]] inline void async_copy(void* to, const void* from, bool whole = true) {
  static_assert(bytes == 4 || bytes == 16);
  emulated::async_copy(to, from, bytes, whole);
}

void wait_for_copies();

std::size_t most_shared_bytes();  // of an H200

}  // namespace kindred::cuda
