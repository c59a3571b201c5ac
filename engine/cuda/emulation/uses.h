// Which memory the emulated GPU has handed out, and which part of it a piece of work uses.
//
// The use of a kernel is derived from its arguments: a pointer stands for everything from its address to the
// end of its block, or of its part in a block that is divided. In a structure it stands for all parts. The kernel reads that
// if the pointer is to const, and otherwise writes it. The use of a copy is known to the byte.
// Needs GCC 11 or newer (__builtin_clear_padding).
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
  std::uint64_t slab = 0, block = 0;  // serial numbers of its slab and block; block 0: no pool owns the slab
};

// Returns true if the two uses must not be reordered.
bool conflict(const Use& a, const Use& b);

std::byte* acquire_slab(std::size_t bytes);  // returns poisoned memory
void release_slab(std::byte* slab);
void* acquire_pinned(std::size_t bytes);  // returns poisoned memory
void release_pinned(void* address);

// The pools of the GPU report here what they do with their slabs.
void hand_out_block(std::byte* block, std::size_t bytes, bool in_recording);
void take_back_block(std::byte* block);
// Parts of the block begin at these bytes, the first at 0; kernels that are given a part's address leave the others alone.
void divide_block(std::byte* block, const std::vector<std::size_t>& begins);

// The serial number of the newest block.
std::uint64_t newest_block();

enum class Place : std::uint8_t { gpu, pinned, elsewhere };
Place place_of(const void* address);

// Exactly these bytes. Throws an error if they do not lie within one block, slab or pinned area; the message
// names `what`.
Use exact_use(const void* address, std::size_t bytes, bool writes, const std::string& what);

// Returns true if the slab or pinned area of the use has not been released since.
bool is_there(const Use& use);

// Says why memory that a recording uses is no longer there for it, or returns "". `first_block` was the newest
// block when the recording began. Memory that the recording itself was given may since have been given to
// another recording, which runs before or after it, but to nobody else.
std::string why_gone(const Use& use, std::uint64_t first_block);

// The use of one argument of `kernel`. Throws an error if the pointer is not memory of the GPU.
std::optional<Use> pointer_use(const void* kernel, const void* pointer, bool writes);
// The same for a word inside a structure, which may be a pointer or a number.
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
    // Padding has any bits: those of an old address, beside a number, can look like an address of the GPU.
    Argument without_padding = argument;
    __builtin_clear_padding(&without_padding);
    for (std::size_t at = 0; at + sizeof(std::uintptr_t) <= sizeof argument; at += sizeof(std::uintptr_t)) {
      std::uintptr_t word;
      std::memcpy(&word, reinterpret_cast<const char*>(&without_padding) + at, sizeof word);
      add(word_use(word));
    }
  }
}

// All uses of a kernel with these parameters.
template <typename... Parameters>
std::vector<Use> uses_of(const void* kernel, const Parameters&... parameters) {
  std::vector<Use> uses;
  (add_uses<Parameters>(uses, kernel, parameters), ...);
  return uses;
}

}  // namespace kindred::cuda::emulation
