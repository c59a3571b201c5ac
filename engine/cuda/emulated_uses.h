// What memory the emulated GPU has given out, and which of it a piece of work uses.
//
// A kernel is known by its arguments: a pointer among them stands for everything from there to the end of its
// block, read where the pointer is to const and otherwise written. A copy is known to the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace kindred::cuda::emulation {

// Bytes that a piece of work reads or writes, on the GPU or in pinned memory of the host.
struct Use {
  std::uintptr_t begin = 0, end = 0;
  bool writes = false;
  std::uint64_t slab = 0, block = 0;  // serial numbers of what they lie in; block 0: a slab that is no pool's
};

// True when the two cannot be done in any order.
bool conflict(const Use& a, const Use& b);

std::byte* acquire_slab(std::size_t bytes);  // poisoned
void release_slab(std::byte* slab);
void* acquire_pinned(std::size_t bytes);  // poisoned
void release_pinned(void* address);

// What the pools of the GPU do with their slabs.
void hand_out_block(std::byte* block, std::size_t bytes, bool in_recording);
void take_back_block(std::byte* block);

// The serial number of the newest block.
std::uint64_t newest_block();

enum class Place : std::uint8_t { gpu, pinned, elsewhere };
Place place_of(const void* address);

// Exactly these bytes. Error where they are not within one block, slab or pinned area: `what` uses them.
Use exact_use(const void* address, std::size_t bytes, bool writes, const std::string& what);

// Whether the slab or the pinned area that a use lies in has not been released since.
bool is_there(const Use& use);

// Why what a recording uses is no longer there for it, or "". `first_block`: the newest block when it began.
// What it was given itself may have been given to another recording meanwhile, which runs after it or before
// it, but to nobody else.
std::string why_gone(const Use& use, std::uint64_t first_block);

// The use of an argument of `kernel`. A pointer that is no memory of the GPU is an error.
std::optional<Use> pointer_use(const void* kernel, const void* pointer, bool writes);
// The same for a word of a structure, which may be a pointer and may be a number.
std::optional<Use> word_use(std::uintptr_t word);

template <typename Argument>
void add_uses(std::vector<Use>& uses, const void* kernel, const Argument& argument) {
  const auto add = [&](const std::optional<Use>& use) {
    if (use) uses.push_back(*use);
  };
  if constexpr (std::is_pointer_v<Argument>) {
    using Pointee = std::remove_pointer_t<Argument>;
    if constexpr (!std::is_function_v<Pointee>) add(pointer_use(kernel, argument, !std::is_const_v<Pointee>));
  } else {
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= sizeof argument; at += sizeof(std::uintptr_t)) {
      std::uintptr_t word;
      std::memcpy(&word, reinterpret_cast<const char*>(&argument) + at, sizeof word);
      add(word_use(word));
    }
  }
}

// Of a kernel with these parameters.
template <typename... Parameters>
std::vector<Use> uses_of(const void* kernel, const Parameters&... parameters) {
  std::vector<Use> uses;
  (add_uses<Parameters>(uses, kernel, parameters), ...);
  return uses;
}

}  // namespace kindred::cuda::emulation
