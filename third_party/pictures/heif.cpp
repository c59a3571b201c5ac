#include <kindred/third_party/pictures/codec.h>

#include <fmt/core.h>
#include <libheif/heif.h>

#include <algorithm>
#include <memory>

namespace kindred::third_party {
namespace {

template <auto release>
struct HeifRelease {
  template <typename T>
  void operator()(T* object) const {
    release(object);
  }
};
using HeifContext = std::unique_ptr<heif_context, HeifRelease<heif_context_free>>;
using HeifHandle = std::unique_ptr<heif_image_handle, HeifRelease<heif_image_handle_release>>;
using HeifImage = std::unique_ptr<heif_image, HeifRelease<heif_image_release>>;

// A file whose structure was read. The bytes must outlive it.
struct OpenedHeif {
  HeifContext context;
  HeifHandle picture;
  std::string reason;

  explicit OpenedHeif(std::span<const std::uint8_t> bytes) : context(heif_context_alloc()) {
    if (!context) {
      reason = "HEIF: not enough memory";
      return;
    }
    heif_error error =
        heif_context_read_from_memory_without_copy(context.get(), bytes.data(), bytes.size(), nullptr);
    heif_image_handle* handle = nullptr;
    if (error.code == heif_error_Ok) error = heif_context_get_primary_image_handle(context.get(), &handle);
    picture.reset(handle);
    if (error.code != heif_error_Ok) reason = problem(error);
  }

  static std::string problem(const heif_error& error) {
    return fmt::format("damaged HEIC or AVIF: {}", error.message == nullptr ? "unknown" : error.message);
  }
};

std::string heif_library() {
  return fmt::format("libheif {}", heif_get_version());
}

PictureSize heif_size(std::span<const std::uint8_t> bytes) {
  const OpenedHeif heif(bytes);
  if (!heif.reason.empty()) return {0, 0, heif.reason};
  const int height = heif_image_handle_get_height(heif.picture.get());
  const int width = heif_image_handle_get_width(heif.picture.get());
  return {static_cast<std::uint64_t>(std::max(height, 0)), static_cast<std::uint64_t>(std::max(width, 0)), ""};
}

std::string heif_decode(std::span<const std::uint8_t> bytes, const PictureSize& size, std::uint8_t* rgb) {
  const OpenedHeif heif(bytes);
  if (!heif.reason.empty()) return heif.reason;
  heif_image* decoded = nullptr;
  const heif_error error = heif_decode_image(heif.picture.get(), &decoded, heif_colorspace_RGB,
                                             heif_chroma_interleaved_RGB, nullptr);
  const HeifImage image(decoded);
  if (error.code != heif_error_Ok || !image) return OpenedHeif::problem(error);
  int stride = 0;
  const std::uint8_t* from = heif_image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
  if (from == nullptr ||
      static_cast<std::uint64_t>(heif_image_get_height(image.get(), heif_channel_interleaved)) != size.height ||
      static_cast<std::uint64_t>(heif_image_get_width(image.get(), heif_channel_interleaved)) != size.width)
    return "damaged HEIC or AVIF: its header is ambiguous";
  for (std::uint64_t row = 0; row < size.height; ++row)
    std::copy_n(from + row * static_cast<std::uint64_t>(stride), 3 * size.width, rgb + row * 3 * size.width);
  return "";
}

}  // namespace

const PictureCodec heif_codec = {heif_library, heif_size, heif_decode};

}  // namespace kindred::third_party
