// PGM and PPM (Netpbm's formats P5 and P6): a header in text, then samples of 8 bits, or of 16 with the high byte first.
// A sample is scaled from its largest value to 255.
#include <kindred/data/images/decode_formats.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace kindred::detail {
namespace {

struct NetpbmHeader {
  std::uint64_t width = 0, height = 0, largest = 0;
  std::size_t channels = 0, sample_bytes = 0;
  std::size_t pixels_at = 0;
};

constexpr std::uint64_t most_digits_value = 1'000'000'000;

// The next number of the header, behind spaces and comments ("# ... end of line").
std::optional<std::uint64_t> next_number(ByteSpan bytes, std::size_t& at) {
  while (at < bytes.size()) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
    } else if (std::isspace(bytes[at]) != 0) {
      ++at;
    } else {
      break;
    }
  }
  if (at >= bytes.size() || std::isdigit(bytes[at]) == 0) return std::nullopt;
  std::uint64_t value = 0;
  for (; at < bytes.size() && std::isdigit(bytes[at]) != 0; ++at) {
    value = 10 * value + (bytes[at] - static_cast<std::uint64_t>('0'));
    if (value > most_digits_value) return std::nullopt;
  }
  return value;
}

std::optional<NetpbmHeader> netpbm_header(ByteSpan bytes) {
  NetpbmHeader header;
  header.channels = bytes[1] == '6' ? 3 : 1;
  std::size_t at = 2;
  for (std::uint64_t* value : {&header.width, &header.height, &header.largest}) {
    const auto number = next_number(bytes, at);
    if (!number) return std::nullopt;
    *value = *number;
  }
  if (header.largest < 1 || header.largest > 65535) return std::nullopt;
  if (at >= bytes.size() || std::isspace(bytes[at]) == 0) return std::nullopt;  // a single one, then the pixels
  header.pixels_at = at + 1;
  header.sample_bytes = header.largest < 256 ? 1 : 2;
  return header;
}

std::uint8_t level(std::uint64_t sample, std::uint64_t largest) {
  return static_cast<std::uint8_t>(std::min<std::uint64_t>((sample * 255 + largest / 2) / largest, 255));
}

}  // namespace

bool is_netpbm(ByteSpan bytes) {
  return bytes.size() >= 3 && bytes[0] == 'P' && (bytes[1] == '5' || bytes[1] == '6') &&
         (std::isspace(bytes[2]) != 0 || bytes[2] == '#');
}

void open_netpbm(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header) {
  const auto netpbm = netpbm_header(bytes);
  if (!netpbm) {
    header.reason = "damaged PPM or PGM: its header is not that of a picture";
    return;
  }
  set_size(netpbm->height, netpbm->width, limits, header);
  if (!header.ok()) return;
  const std::uint64_t needed = netpbm->height * netpbm->width * netpbm->channels * netpbm->sample_bytes;
  if (bytes.size() - netpbm->pixels_at < needed)
    header.reason = "truncated PPM or PGM: the file ends before its pixels do";
}

void decode_netpbm(ByteSpan bytes, const ImageHeader& header, Decoded& out) {
  const NetpbmHeader netpbm = *netpbm_header(bytes);  // open_netpbm has accepted it
  out.image.resize(header.height, header.width);
  const std::uint8_t* from = bytes.data() + netpbm.pixels_at;
  const auto next_level = [&] {
    std::uint64_t sample = *from++;
    if (netpbm.sample_bytes == 2) sample = 256 * sample + *from++;
    return level(sample, netpbm.largest);
  };
  for (std::size_t at = 0; at < out.image.pixels.size(); at += 3)
    if (netpbm.channels == 3)
      std::generate_n(&out.image.pixels[at], 3, next_level);
    else
      std::fill_n(&out.image.pixels[at], 3, next_level());
  out.outcome = Outcome::ok;
  out.reason.clear();
}

}  // namespace kindred::detail
