// XXH3 (64 bits) of bytes that come piece by piece. It detects damage, not tampering.
#pragma once

#include <fmt/core.h>
#include <xxhash.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <string_view>

namespace kindred {

class Checksum {
 public:
  Checksum() : state_(XXH3_createState()) {
    if (!state_) throw std::bad_alloc();
    XXH3_64bits_reset(state_.get());
  }
  void add(const void* data, std::size_t bytes) {
    if (bytes > 0) XXH3_64bits_update(state_.get(), data, bytes);
  }
  std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }  // 16 digits

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

inline std::string checksum_of(std::string_view bytes) {
  return fmt::format("{:016x}", XXH3_64bits(bytes.data(), bytes.size()));
}

}  // namespace kindred
