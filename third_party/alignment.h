// What libraries ask of addresses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace kindred {

// Bytes: the largest power of two, up to 16, that divides every address. A null pointer is no address.
inline int alignment_of(std::initializer_list<const void*> addresses) {
  std::uintptr_t bits = 16;
  for (const void* address : addresses) bits |= reinterpret_cast<std::uintptr_t>(address);
  return static_cast<int>(bits & (~bits + 1));
}

// What a plan for these addresses may rely on: 16 bytes where all of them have that, otherwise what an element
// of `element` bytes has. Two classes, so that the windows of one tensor need no more than two plans.
inline int promised_alignment(std::initializer_list<const void*> addresses, std::size_t element) {
  return alignment_of(addresses) == 16 ? 16 : static_cast<int>(element);
}

}  // namespace kindred
