// What is said when the memory ends while a picture is decoded.
#pragma once

#include <kindred/engine/error.h>

#include <new>

namespace kindred {

// Returns work(), which decodes the picture called name(). A std::bad_alloc becomes OutOfMemory, which
// names the picture and says what helps: a smaller one, not a smaller batch.
template <typename Name, typename Work>
decltype(auto) with_memory_for_picture(const Name& name, const Work& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(
        fmt::format(
            "out of memory on the host while a picture was decoded: {}; use smaller copies of the largest "
            "pictures, or, where several are decoded at once, fewer threads (OMP_NUM_THREADS)",
            name()),
        Cause::other);
  }
}

}  // namespace kindred
