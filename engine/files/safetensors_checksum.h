// The checksum of a safetensors file: XXH3 (64 bits) over the header, in which the checksum's own digits are
// zeros, and the data. It detects damage, not tampering. Used only by safetensors*.cpp.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace kindred {

constexpr const char* safetensors_checksum_key = "xxh3";

class SafetensorsChecksum {
 public:
  SafetensorsChecksum();
  ~SafetensorsChecksum();
  SafetensorsChecksum(const SafetensorsChecksum&) = delete;
  SafetensorsChecksum& operator=(const SafetensorsChecksum&) = delete;

  static std::string placeholder() { return std::string(16, '0'); }
  void add(const void* data, std::size_t bytes);
  std::string text() const;  // 16 hexadecimal digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kindred
