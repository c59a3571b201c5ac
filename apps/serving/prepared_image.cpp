#include <kindred/apps/serving/prepared_image.h>
#include <kindred/data/views/augment.h>

#include <algorithm>
#include <cstddef>

namespace kindred {
namespace {

constexpr std::size_t most_decoding_bytes = std::size_t{1} << 30;  // of all threads together

}  // namespace

ImagePreparer::ImagePreparer(const EncoderInfo& info, std::int64_t workers, std::uint64_t most_pixels)
    : side_(static_cast<int>(info.image_size)), resize_(info.resize), gate_(workers, most_decoding_bytes) {
  limits_.max_pixels = most_pixels;
  limits_.max_decoder_bytes = most_decoding_bytes / 2;
  limits_.exif = info.exif;
}

PreparedImage ImagePreparer::prepare(std::span<const std::uint8_t> bytes, const WantedCheck& check) {
  const ImageHeader header = probe_image(bytes, limits_);
  if (!header.ok()) return {{}, header.reason};
  const std::size_t picture =
      static_cast<std::size_t>(header.height) * static_cast<std::size_t>(header.width) * 3;
  const Gate::Pass pass = gate_.enter(picture + header.decoder_bytes, check);
  const Decoded decoded = decode_image(bytes, limits_);
  if (decoded.outcome == Outcome::rejected) return {{}, decoded.reason};
  PreparedImage prepared;
  prepared.problem = decoded.reason;
  prepared.pixels.resize(static_cast<std::size_t>(side_) * static_cast<std::size_t>(side_) * 3);
  Recipe plain = recipe("none", side_);
  plain.resize = resize_;
  RandomStream unused(0, Purpose::augment);
  AugmentScratch scratch;
  make_view(decoded.image, plain, side_, unused, prepared.pixels.data(), scratch);
  return prepared;
}

}  // namespace kindred
