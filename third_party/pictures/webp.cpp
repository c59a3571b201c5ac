#include <kindred/third_party/pictures/codec.h>

#include <fmt/core.h>
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>
#include <new>

namespace kindred::third_party {
namespace {

std::string webp_library() {
  const int version = WebPGetDecoderVersion();
  return fmt::format("libwebp {}.{}.{}", version >> 16, (version >> 8) & 255, version & 255);
}

const char* webp_problem(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OK:
      return "";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED:
      return "truncated WebP: the file ends before its pixels do";
    case VP8_STATUS_OUT_OF_MEMORY:
      throw std::bad_alloc();  // the file is not to blame
    case VP8_STATUS_UNSUPPORTED_FEATURE:
      return "a WebP of a kind that libwebp cannot read";
    default:
      return "damaged WebP";
  }
}

PictureSize webp_size(std::span<const std::uint8_t> bytes) {
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status != VP8_STATUS_OK) return {0, 0, webp_problem(status)};
  return {static_cast<std::uint64_t>(features.height), static_cast<std::uint64_t>(features.width), ""};
}

// The first frame of an animation, on a canvas that is black where the frame does not reach.
std::string decode_first_frame(std::span<const std::uint8_t> bytes, const PictureSize& size,
                               std::uint8_t* rgb) {
  const WebPData data = {bytes.data(), bytes.size()};
  WebPAnimDecoderOptions options;
  if (!WebPAnimDecoderOptionsInit(&options)) return "damaged WebP";
  options.color_mode = MODE_RGBA;
  options.use_threads = 0;
  const std::unique_ptr<WebPAnimDecoder, decltype(&WebPAnimDecoderDelete)> decoder(
      WebPAnimDecoderNew(&data, &options), &WebPAnimDecoderDelete);
  std::uint8_t* frame = nullptr;  // the decoder's
  int timestamp = 0;
  if (!decoder || !WebPAnimDecoderGetNext(decoder.get(), &frame, &timestamp)) return "damaged WebP";
  WebPAnimInfo info;
  if (!WebPAnimDecoderGetInfo(decoder.get(), &info) || info.canvas_width != size.width ||
      info.canvas_height != size.height)
    return "damaged WebP: its header is ambiguous";
  for (std::uint64_t pixel = 0; pixel < size.height * size.width; ++pixel)
    for (int channel = 0; channel < 3; ++channel)
      rgb[3 * pixel + static_cast<std::uint64_t>(channel)] =
          frame[4 * pixel + static_cast<std::uint64_t>(channel)];
  return "";
}

std::string webp_decode(std::span<const std::uint8_t> bytes, const PictureSize& size, std::uint8_t* rgb) {
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) return "damaged WebP";
  const VP8StatusCode opened = WebPGetFeatures(bytes.data(), bytes.size(), &config.input);
  if (opened != VP8_STATUS_OK) return webp_problem(opened);
  if (config.input.has_animation) return decode_first_frame(bytes, size, rgb);
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = rgb;
  config.output.u.RGBA.stride = static_cast<int>(3 * size.width);
  config.output.u.RGBA.size = static_cast<std::size_t>(3 * size.width * size.height);
  return webp_problem(WebPDecode(bytes.data(), bytes.size(), &config));
}

}  // namespace

const PictureCodec webp_codec = {webp_library, webp_size, webp_decode};

}  // namespace kindred::third_party
