// The alignment of addresses, which libraries have requirements on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace kindred {

// The largest power of two, up to 16, that divides every address, in bytes. Null pointers are ignored.
inline int alignment_of(std::initializer_list<const void*> addresses) {
  std::uintptr_t bits = 16;
  for (const void* address : addresses) bits |= reinterpret_cast<std::uintptr_t>(address);
  return static_cast<int>(bits & (~bits + 1));
}

// The alignment that a plan for these addresses may assume: 16 bytes if all addresses have that, and otherwise
// the alignment of an element of `element` bytes. There are only two classes, so the windows of one tensor need
// at most two plans.
inline int promised_alignment(std::initializer_list<const void*> addresses, std::size_t element) {
  return alignment_of(addresses) == 16 ? 16 : static_cast<int>(element);
}

}  // namespace kindred
