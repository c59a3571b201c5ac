// Deflate streams (RFC 1951) and CRC-32: by libdeflate, or by zlib where the build found no libdeflate
// (third_party/CMakeLists.txt). The results are the same; libdeflate takes about a third of the time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace kindred::third_party {

std::string deflate_library();  // "libdeflate 1.14" or "zlib 1.2.13"

// Decompresses a stream without a header to exactly `out`, which must not be empty. Data that follow the last byte of
// `out` are ignored. Returns false if the stream is damaged, or ends before `out` is full or before its own end mark;
// `out` is then undefined. Nothing is written outside of `out`. Thread-safe; throws nothing but std::bad_alloc.
bool inflate_raw(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out);

// The same by zlib, which every build has.
bool inflate_by_zlib(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out);

// Decompresses the beginning of a stream, by zlib, until `out` is full, or the stream ends or is damaged. Returns the
// number of bytes in `out`.
std::size_t inflate_beginning(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out);

// The CRC-32 of PNG and zip (ISO 3309).
std::uint32_t crc32_of(std::span<const std::uint8_t> bytes);

}  // namespace kindred::third_party
