#include <kindred/third_party/pictures/codec.h>

#include <fmt/core.h>
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

namespace kindred::third_party {
namespace {

struct GifBytes {
  std::span<const std::uint8_t> bytes;
  std::size_t at = 0;
};

int read_gif(GifFileType* file, GifByteType* to, int count) {
  GifBytes& from = *static_cast<GifBytes*>(file->UserData);
  const std::size_t read = std::min(static_cast<std::size_t>(count), from.bytes.size() - from.at);
  std::copy_n(from.bytes.begin() + static_cast<std::ptrdiff_t>(from.at), read, to);
  from.at += read;
  return static_cast<int>(read);
}

struct GifCloser {
  void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};

constexpr const char* gif_truncated = "truncated or damaged GIF: the file ends before its pixels do";

// A file, read up to the pixels of its first picture.
struct OpenedGif {
  GifBytes from;
  std::unique_ptr<GifFileType, GifCloser> file;
  std::optional<int> transparent;  // the palette's entry that the picture shows as nothing
  std::string reason;

  explicit OpenedGif(std::span<const std::uint8_t> bytes) : from{bytes} {
    int error = 0;
    file.reset(DGifOpen(&from, read_gif, &error));
    reason = file ? find_picture() : "damaged GIF: its header cannot be read";
  }
  OpenedGif(const OpenedGif&) = delete;
  OpenedGif& operator=(const OpenedGif&) = delete;

  // A picture that reaches beyond the screen makes the screen larger.
  std::uint64_t height() const { return std::max<std::uint64_t>(extent(file->SHeight), bottom()); }
  std::uint64_t width() const { return std::max<std::uint64_t>(extent(file->SWidth), right()); }

 private:
  static std::uint64_t extent(int value) { return static_cast<std::uint64_t>(std::max(value, 0)); }
  std::uint64_t bottom() const { return extent(file->Image.Top) + extent(file->Image.Height); }
  std::uint64_t right() const { return extent(file->Image.Left) + extent(file->Image.Width); }

  std::string find_picture() {
    GifRecordType type;
    while (DGifGetRecordType(file.get(), &type) == GIF_OK) {
      if (type == IMAGE_DESC_RECORD_TYPE)
        return DGifGetImageDesc(file.get()) == GIF_OK ? ""
                                                      : "damaged GIF: the header of its picture cannot be read";
      if (type == TERMINATE_RECORD_TYPE) return "a GIF without a picture";
      if (type == EXTENSION_RECORD_TYPE && !skip_extension()) return gif_truncated;
    }
    return gif_truncated;
  }

  bool skip_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(file.get(), &code, &block) != GIF_OK) return false;
    while (block != nullptr) {
      GraphicsControlBlock control;
      if (code == GRAPHICS_EXT_FUNC_CODE && DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK &&
          control.TransparentColor != NO_TRANSPARENT_COLOR)
        transparent = control.TransparentColor;
      if (DGifGetExtensionNext(file.get(), &block) != GIF_OK) return false;
    }
    return true;
  }
};

std::string gif_library() {
  return fmt::format("giflib {}.{}.{}", GIFLIB_MAJOR, GIFLIB_MINOR, GIFLIB_RELEASE);
}

PictureSize gif_size(std::span<const std::uint8_t> bytes) {
  const OpenedGif gif(bytes);
  if (!gif.reason.empty()) return {0, 0, gif.reason};
  return {gif.height(), gif.width(), ""};
}

// 256 colours. Entries that the palette does not have, and all if there is no palette, are gray.
std::vector<std::uint8_t> palette_of(const GifFileType& file) {
  std::vector<std::uint8_t> palette(3 * 256);
  for (std::size_t entry = 0; entry < 256; ++entry)
    std::fill_n(&palette[3 * entry], 3, static_cast<std::uint8_t>(entry));
  const ColorMapObject* colours = file.Image.ColorMap != nullptr ? file.Image.ColorMap : file.SColorMap;
  const int count = colours == nullptr ? 0 : std::clamp(colours->ColorCount, 0, 256);
  for (int entry = 0; entry < count; ++entry) {
    const GifColorType& colour = colours->Colors[entry];
    std::uint8_t* to = &palette[3 * static_cast<std::size_t>(entry)];
    to[0] = colour.Red;
    to[1] = colour.Green;
    to[2] = colour.Blue;
  }
  return palette;
}

// The rows of a picture in the order in which the file has them.
std::vector<int> rows_in_file(int height, bool is_interlaced) {
  std::vector<int> rows;
  struct Pass {
    int first, step;
  };
  const std::vector<Pass> passes =
      is_interlaced ? std::vector<Pass>{{0, 8}, {4, 8}, {2, 4}, {1, 2}} : std::vector<Pass>{{0, 1}};
  for (const Pass& pass : passes)
    for (int row = pass.first; row < height; row += pass.step) rows.push_back(row);
  return rows;
}

std::string gif_decode(std::span<const std::uint8_t> bytes, const PictureSize& size, std::uint8_t* rgb) {
  const OpenedGif gif(bytes);
  if (!gif.reason.empty()) return gif.reason;
  if (gif.height() != size.height || gif.width() != size.width) return "damaged GIF: its header is ambiguous";
  const GifImageDesc& picture = gif.file->Image;
  if (picture.Top < 0 || picture.Left < 0 || picture.Width <= 0 || picture.Height <= 0)
    return "damaged GIF: its picture has no pixels";
  const std::vector<std::uint8_t> palette = palette_of(*gif.file);
  const auto colour = [&](std::size_t entry) { return &palette[3 * std::min<std::size_t>(entry, 255)]; };
  const std::uint8_t* around = colour(static_cast<std::size_t>(std::max(gif.transparent.value_or(0), 0)));
  for (std::uint64_t pixel = 0; pixel < size.height * size.width; ++pixel)
    std::copy_n(around, 3, rgb + 3 * pixel);

  std::vector<GifPixelType> line(static_cast<std::size_t>(picture.Width));
  for (const int row : rows_in_file(picture.Height, picture.Interlace)) {
    if (DGifGetLine(gif.file.get(), line.data(), picture.Width) != GIF_OK) return gif_truncated;
    std::uint8_t* to = rgb + 3 * (static_cast<std::uint64_t>(picture.Top + row) * size.width +
                                  static_cast<std::uint64_t>(picture.Left));
    for (std::size_t column = 0; column < line.size(); ++column)
      std::copy_n(colour(line[column]), 3, to + 3 * column);
  }
  return "";
}

}  // namespace

const PictureCodec gif_codec = {gif_library, gif_size, gif_decode};

}  // namespace kindred::third_party
