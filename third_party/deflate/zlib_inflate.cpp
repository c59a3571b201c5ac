#include <kindred/third_party/deflate/deflate.h>
#include <zlib.h>  // defines: z_stream, inflateInit2, inflateEnd, Z_OK, Z_STREAM_END, Z_NO_FLUSH

#include <algorithm>
#include <new>

namespace kindred::third_party {
namespace {

constexpr std::size_t most_at_once = std::size_t{1} << 30;  // zlib counts with 32 bits
constexpr int no_header = -15;                              // and the largest window

struct ZlibStream {
  z_stream state{};

  ZlibStream() {
    if (inflateInit2(&state, no_header) != Z_OK) throw std::bad_alloc();
  }
  ~ZlibStream() { inflateEnd(&state); }
  ZlibStream(const ZlibStream&) = delete;
  ZlibStream& operator=(const ZlibStream&) = delete;
};

}  // namespace

bool inflate_by_zlib(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out) {
  ZlibStream zlib;
  z_stream& z = zlib.state;
  std::size_t given = 0, asked = 0;  // bytes of `stream` and of `out` that zlib knows of
  std::uint8_t next_byte = 0;        // the one behind `out`: zlib must see whether the stream goes on
  bool out_is_full = false;
  int status = Z_OK;
  while (status == Z_OK) {
    if (z.avail_in == 0 && given < stream.size()) {
      z.next_in = const_cast<Bytef*>(stream.data() + given);  // zlib only reads it
      z.avail_in = static_cast<uInt>(std::min(most_at_once, stream.size() - given));
      given += z.avail_in;
    }
    if (z.avail_out == 0 && asked < out.size()) {
      z.next_out = out.data() + asked;
      z.avail_out = static_cast<uInt>(std::min(most_at_once, out.size() - asked));
      asked += z.avail_out;
    } else if (z.avail_out == 0) {
      if (out_is_full) return true;  // the byte behind `out` has come
      out_is_full = true;
      z.next_out = &next_byte;
      z.avail_out = 1;
    }
    status = ::inflate(&z, Z_NO_FLUSH);
  }
  // Whoever comes here has seen the end mark, an error, or the end of the bytes (Z_BUF_ERROR).
  return status == Z_STREAM_END && asked == out.size() && (out_is_full || z.avail_out == 0);
}

std::size_t inflate_beginning(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out) {
  ZlibStream zlib;
  z_stream& z = zlib.state;
  const std::size_t wanted = std::min(most_at_once, out.size());
  z.next_in = const_cast<Bytef*>(stream.data());  // zlib only reads it
  z.avail_in = static_cast<uInt>(std::min(most_at_once, stream.size()));
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(wanted);
  while (z.avail_out > 0 && ::inflate(&z, Z_NO_FLUSH) == Z_OK) {
  }
  return wanted - z.avail_out;
}

}  // namespace kindred::third_party
