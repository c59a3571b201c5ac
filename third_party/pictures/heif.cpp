#include <kindred/third_party/pictures/codec.h>

#include <dlfcn.h>  // defines: dlopen, dlsym
#include <fmt/core.h>
#include <libheif/heif.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

namespace kindred::third_party {
namespace {

// libheif is opened when the first picture needs it: with its codecs it is as large as all of Kindred's programs, and
// packages would have to bring it along.
struct HeifLibrary {
  void* handle = open();
  bool is_complete = handle != nullptr;

#define KINDRED_HEIF(name) decltype(&::heif_##name) name = find<decltype(&::heif_##name)>("heif_" #name)
  KINDRED_HEIF(get_version);
  KINDRED_HEIF(context_alloc);
  KINDRED_HEIF(context_free);
  KINDRED_HEIF(context_read_from_memory_without_copy);
  KINDRED_HEIF(context_get_primary_image_handle);
  KINDRED_HEIF(image_handle_release);
  KINDRED_HEIF(image_handle_get_width);
  KINDRED_HEIF(image_handle_get_height);
  KINDRED_HEIF(decode_image);
  KINDRED_HEIF(image_release);
  KINDRED_HEIF(image_get_plane_readonly);
  KINDRED_HEIF(image_get_width);
  KINDRED_HEIF(image_get_height);
#undef KINDRED_HEIF

 private:
  static void* open() {
    errno = 0;
    void* const opened = ::dlopen("libheif.so.1", RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr && errno == ENOMEM) throw std::bad_alloc();  // it is not missing
    return opened;
  }
  template <typename Function>
  Function find(const char* name) {
    void* symbol = handle == nullptr ? nullptr : ::dlsym(handle, name);
    is_complete = is_complete && symbol != nullptr;
    return reinterpret_cast<Function>(symbol);
  }
};

const HeifLibrary& heif() {
  static const HeifLibrary library;
  return library;
}

template <auto HeifLibrary::*release>
struct HeifRelease {
  template <typename T>
  void operator()(T* object) const {
    (heif().*release)(object);
  }
};
using HeifContext = std::unique_ptr<heif_context, HeifRelease<&HeifLibrary::context_free>>;
using HeifHandle = std::unique_ptr<heif_image_handle, HeifRelease<&HeifLibrary::image_handle_release>>;
using HeifImage = std::unique_ptr<heif_image, HeifRelease<&HeifLibrary::image_release>>;

// A file whose structure was read. The bytes must outlive it.
struct OpenedHeif {
  HeifContext context;
  HeifHandle picture;
  std::string reason;

  explicit OpenedHeif(std::span<const std::uint8_t> bytes) {
    if (!heif().is_complete) {
      reason = "HEIC or AVIF; libheif.so.1 cannot be opened, install libheif";
      return;
    }
    context.reset(heif().context_alloc());
    if (!context) throw std::bad_alloc();
    heif_error error =
        heif().context_read_from_memory_without_copy(context.get(), bytes.data(), bytes.size(), nullptr);
    heif_image_handle* handle = nullptr;
    if (error.code == heif_error_Ok) error = heif().context_get_primary_image_handle(context.get(), &handle);
    picture.reset(handle);
    if (error.code != heif_error_Ok) reason = problem(error);
  }

  static std::string problem(const heif_error& error) {
    // A picture that says it needs more than libheif ever takes has the same code.
    if (error.code == heif_error_Memory_allocation_error &&
        error.subcode != heif_suberror_Security_limit_exceeded)
      throw std::bad_alloc();
    return fmt::format("damaged HEIC or AVIF: {}", error.message == nullptr ? "unknown" : error.message);
  }
};

std::string heif_library() {
  return heif().is_complete ? fmt::format("libheif {}", heif().get_version()) : "libheif is not installed";
}

PictureSize heif_size(std::span<const std::uint8_t> bytes) {
  const OpenedHeif opened(bytes);
  if (!opened.reason.empty()) return {0, 0, opened.reason};
  const int height = heif().image_handle_get_height(opened.picture.get());
  const int width = heif().image_handle_get_width(opened.picture.get());
  return {static_cast<std::uint64_t>(std::max(height, 0)), static_cast<std::uint64_t>(std::max(width, 0)), ""};
}

std::string heif_decode(std::span<const std::uint8_t> bytes, const PictureSize& size, std::uint8_t* rgb) {
  const OpenedHeif opened(bytes);
  if (!opened.reason.empty()) return opened.reason;
  heif_image* decoded = nullptr;
  const heif_error error = heif().decode_image(opened.picture.get(), &decoded, heif_colorspace_RGB,
                                               heif_chroma_interleaved_RGB, nullptr);
  const HeifImage image(decoded);
  if (error.code != heif_error_Ok || !image) return OpenedHeif::problem(error);
  int stride = 0;
  const std::uint8_t* from = heif().image_get_plane_readonly(image.get(), heif_channel_interleaved, &stride);
  if (from == nullptr ||
      static_cast<std::uint64_t>(heif().image_get_height(image.get(), heif_channel_interleaved)) !=
          size.height ||
      static_cast<std::uint64_t>(heif().image_get_width(image.get(), heif_channel_interleaved)) != size.width)
    return "damaged HEIC or AVIF: its header is ambiguous";
  for (std::uint64_t row = 0; row < size.height; ++row)
    std::copy_n(from + row * static_cast<std::uint64_t>(stride), 3 * size.width, rgb + row * 3 * size.width);
  return "";
}

}  // namespace

const PictureCodec heif_codec = {heif_library, heif_size, heif_decode};

}  // namespace kindred::third_party
