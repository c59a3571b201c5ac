#include <fmt/core.h>
#include <kindred/data/images/png/expand.h>
#include <kindred/data/images/png/png_decoder.h>
#include <kindred/data/images/png/unfilter.h>
#include <kindred/third_party/deflate/deflate.h>

#include <algorithm>

namespace kindred::detail {
namespace {

// The two bytes in front of a zlib stream (RFC 1950). The size of its window is not used: the largest one takes all.
bool is_zlib_header(ByteSpan stream) {
  if (stream.size() < 2) return false;
  const unsigned method = stream[0] & 15u, needs_dictionary = stream[1] & 32u;
  return method == 8 && needs_dictionary == 0 && (256u * stream[0] + stream[1]) % 31 == 0;
}

// `line` holds the pixels of the pass's row `y`.
void place_row(const PngPass& pass, std::size_t y, const std::uint8_t* line, Image& image) {
  const auto row = static_cast<int>(pass.y0 + pass.dy * y);
  for (std::size_t x = 0; x < pass.width; ++x)
    std::copy_n(line + 3 * x, 3, image.pixel(row, static_cast<int>(pass.x0 + pass.dx * x)));
}

}  // namespace

void PngDecoder::open(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header) {
  header.reason = read_png(bytes, limits, file_, header);
  if (!header.ok()) return;
  const std::size_t joined = file_.data.size() > 1 ? file_.data_bytes : 0;
  header.decoder_bytes = static_cast<std::size_t>(file_.filtered_bytes()) + joined;
}

void PngDecoder::decode(Decoded& out) {
  std::string problem = inflate_rows(static_cast<std::size_t>(file_.filtered_bytes()));
  if (problem.empty()) problem = convert_rows(out);
  // A loader has a decoder for every thread.
  if (capacity_ > most_kept_by_decoder) {
    rows_.reset();
    capacity_ = 0;
  }
  if (stream_.capacity() > most_kept_by_decoder) stream_ = std::vector<std::uint8_t>();
  if (!problem.empty()) return reject(out, std::move(problem));
  out.outcome = colours_lack_ || file_.lacks_end ? Outcome::damaged : Outcome::ok;
  out.reason = colours_lack_     ? "damaged PNG: a pixel's colour is not in its palette"
               : file_.lacks_end ? "truncated PNG: all pixels are there, but no IEND chunk"
                                 : "";
}

// The checksum behind the stream (Adler-32) is not compared: the chunks' checksums cover the same bytes.
std::string PngDecoder::inflate_rows(std::size_t bytes) {
  if (capacity_ < bytes + unfilter_slack) {
    rows_.reset();  // first, so that there are never two
    capacity_ = 0;
    rows_ = std::make_unique_for_overwrite<std::uint8_t[]>(bytes + unfilter_slack);
    capacity_ = bytes + unfilter_slack;
  }
  ByteSpan stream = file_.data.front();
  if (file_.data.size() > 1) {
    stream_.clear();
    stream_.reserve(file_.data_bytes);
    for (const ByteSpan part : file_.data) stream_.insert(stream_.end(), part.begin(), part.end());
    stream = stream_;
  }
  if (!is_zlib_header(stream) || !third_party::inflate_raw(stream.subspan(2), {rows_.get(), bytes}))
    return file_.lacks_end ? "truncated PNG: the file ends before all pixels are there"
                           : "damaged PNG: its compressed data cannot be read, or end too early";
  std::fill_n(rows_.get() + bytes, unfilter_slack, std::uint8_t{0});
  return {};
}

std::string PngDecoder::convert_rows(Decoded& out) {
  out.image.resize(static_cast<int>(file_.height), static_cast<int>(file_.width));
  colours_lack_ = false;
  std::uint8_t* from = rows_.get();
  for (const PngPass& pass : file_.passes()) {
    if (pass.width == 0) continue;
    zeros_.assign(pass.row_bytes + unfilter_slack, 0);
    const std::uint8_t* above = zeros_.data();
    if (file_.interlaced) line_.resize(3 * pass.width);
    for (std::size_t y = 0; y < pass.height; ++y) {
      const std::uint8_t filter = *from++;
      if (filter >= png_filters) return fmt::format("damaged PNG: a row has the unknown filter {}", filter);
      unfilter_row(static_cast<PngFilter>(filter), from, above, pass.row_bytes, file_.pixel_bytes());
      std::uint8_t* line = file_.interlaced ? line_.data() : out.image.pixel(static_cast<int>(y), 0);
      colours_lack_ |= !expand_row(file_, from, pass.width, line);
      if (file_.interlaced) place_row(pass, y, line, out.image);
      above = from;
      from += pass.row_bytes;
    }
  }
  return {};
}

}  // namespace kindred::detail
