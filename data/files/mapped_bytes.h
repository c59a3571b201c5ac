// The bytes of a file as memory, read only: the system brings them in when they are touched.
#pragma once

#include <kindred/data/files/byte_reader.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace kindred {

class MappedBytes {
 public:
  // Maps `path`, which must have `bytes` bytes. Throws Error(file), which says what the file is to others: "<path>: <what is
  // wrong>; <advice>". The file may lose its name afterwards, or another may take it. It must not be cut: an access to
  // what is no longer there would end the program.
  MappedBytes(const std::string& path, std::uint64_t bytes, const std::string& advice);
  ~MappedBytes();
  MappedBytes(const MappedBytes&) = delete;
  MappedBytes& operator=(const MappedBytes&) = delete;

  std::span<const std::uint8_t> bytes() const { return {address_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(address_), size_}; }

 private:
  const std::uint8_t* address_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace kindred
