#include <kindred/third_party/deflate/deflate.h>
#include <libdeflate.h>

#include <memory>
#include <new>

namespace kindred::third_party {
namespace {

struct DecompressorFreer {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

}  // namespace

std::string deflate_library() {
  return std::string("libdeflate ") + LIBDEFLATE_VERSION_STRING;
}

bool inflate_raw(std::span<const std::uint8_t> stream, std::span<std::uint8_t> out) {
  const std::unique_ptr<libdeflate_decompressor, DecompressorFreer> decompressor(
      libdeflate_alloc_decompressor());
  if (!decompressor) throw std::bad_alloc();
  if (libdeflate_deflate_decompress(decompressor.get(), stream.data(), stream.size(), out.data(), out.size(),
                                    nullptr) == LIBDEFLATE_SUCCESS)
    return true;
  // libdeflate also gives up on a stream with more data than `out` takes. So that no outcome depends on the library,
  // zlib judges every stream that is not plainly right.
  return inflate_by_zlib(stream, out);
}

std::uint32_t crc32_of(std::span<const std::uint8_t> bytes) {
  return libdeflate_crc32(0, bytes.data(), bytes.size());
}

}  // namespace kindred::third_party
