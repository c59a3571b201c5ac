// JPEG by libjpeg-turbo, with decoding of a part of the picture.
//
// libjpeg reports a fatal error by calling back, and the callback must not return: it jumps (longjmp). A jump
// skips destructors, so every function here that calls setjmp holds nothing with a destructor, and does one
// short thing. What must be released lies in JpegReader, outside of them.
//
// A part: blocks left and right of it are parsed but not transformed (jpeg_crop_scanline), and so are rows
// above and below (jpeg_skip_scanlines). At the edges of what libjpeg then makes, chroma is upsampled without
// its neighbour, and one column may differ from a whole decoding: so one more column than wanted is asked for
// on either side. A file that gives any warning is decoded whole, from the start: what damage looks like must
// not depend on which part somebody wanted.

#include <fmt/format.h>
#include <kindred/data/decode_formats.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <new>

#include <jpeglib.h>

#include <jerror.h>  // defines: JWRN_JPEG_EOF, JWRN_HIT_MARKER, JERR_NO_BACKING_STORE

namespace kindred::detail {

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX] = {};  // the fatal error, or else the first warning
  int fatal_code = 0;
  bool warned = false;
  bool file_ended = false;    // the bytes ran out, an end marker was made up
  bool pixels_ended = false;  // a scan wanted bits that were not there
  bool too_many_scans = false;
  int max_scans = 0;

  JpegReader() = default;
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }  // harmless if it was never created

  // As new, in the same place: libjpeg's memory goes back, since it may be large.
  void renew() {
    this->~JpegReader();
    new (this) JpegReader;
  }

  bool is_truncated() const { return file_ended && pixels_ended; }
};

namespace {

JpegReader& reader_of(j_common_ptr info) {
  return *static_cast<JpegReader*>(info->client_data);
}

[[noreturn]] void on_fatal_error(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  reader.fatal_code = info->err->msg_code;
  info->err->format_message(info, reader.message);
  std::longjmp(reader.escape, 1);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // a trace, not a warning
  JpegReader& reader = reader_of(info);
  if (info->err->msg_code == JWRN_JPEG_EOF) reader.file_ended = true;
  if (info->err->msg_code == JWRN_HIT_MARKER) reader.pixels_ended = true;
  if (!reader.warned) info->err->format_message(info, reader.message);
  reader.warned = true;
  ++info->err->num_warnings;
  // Pixels are missing: the file will be rejected, so that nobody waits for millions of gray ones.
  if (reader.is_truncated()) std::longjmp(reader.escape, 1);
}

void print_nothing(j_common_ptr) {}

// Called for every row of blocks that is read. The only place where a flood of scans can be stopped.
void on_progress(j_common_ptr info) {
  JpegReader& reader = reader_of(info);
  if (reader.info.input_scan_number <= reader.max_scans) return;
  reader.too_many_scans = true;
  std::longjmp(reader.escape, 1);
}

bool read_header(JpegReader& reader, const std::uint8_t* bytes, std::size_t size, const DecodeLimits& limits) {
  reader.info.err = jpeg_std_error(&reader.errors);
  reader.errors.error_exit = on_fatal_error;
  reader.errors.emit_message = on_message;
  reader.errors.output_message = print_nothing;
  reader.info.client_data = &reader;
  reader.max_scans = limits.max_scans;
  if (setjmp(reader.escape)) return false;
  jpeg_create_decompress(&reader.info);  // keeps err and client_data
  reader.progress.progress_monitor = on_progress;
  reader.info.progress = &reader.progress;
  reader.info.mem->max_memory_to_use = static_cast<long>(limits.max_decoder_bytes);
  jpeg_mem_src(&reader.info, bytes, static_cast<unsigned long>(size));
  jpeg_read_header(&reader.info, TRUE);
  return true;
}

bool start(JpegReader& reader) {
  if (setjmp(reader.escape)) return false;
  jpeg_start_decompress(&reader.info);  // a progressive file is read whole here
  return true;
}

// Narrows the rows that are made to those blocks that hold [left, left + width), and says where they begin.
bool crop_columns(JpegReader& reader, JDIMENSION& left, JDIMENSION& width) {
  if (setjmp(reader.escape)) return false;
  jpeg_crop_scanline(&reader.info, &left, &width);
  return true;
}

bool skip_rows(JpegReader& reader, unsigned count) {
  if (setjmp(reader.escape)) return false;
  return count == 0 || jpeg_skip_scanlines(&reader.info, count) == count;
}

// Reads up to `count` rows of `stride` bytes each.
bool read_rows(JpegReader& reader, std::uint8_t* rows, std::size_t stride, unsigned count) {
  if (setjmp(reader.escape)) return false;
  for (unsigned done = 0; done < count;) {
    JSAMPROW row = rows + done * stride;
    done += jpeg_read_scanlines(&reader.info, &row, 1);
  }
  return true;
}

bool finish(JpegReader& reader) {
  if (setjmp(reader.escape)) return false;
  jpeg_finish_decompress(&reader.info);  // reads on to the end marker, so that its absence is noticed
  return true;
}

// Adobe stores CMYK inverted (255 is no ink), and every CMYK JPEG is taken to be Adobe's, as Pillow does. Then
// R = (1 - C)(1 - K) is one product, here with Pillow's rounding.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int channel = 0; channel < 3; ++channel) {
      const int ink = (255 - cmyk[channel]) * cmyk[3] + 128;
      rgb[channel] = static_cast<std::uint8_t>(cmyk[3] - (((ink >> 8) + ink) >> 8));
    }
  }
}

// The rows that are next, into an image of just this size. `row` is scratch.
bool read_image(JpegReader& reader, Image& image, std::vector<std::uint8_t>& row) {
  const std::size_t row_bytes = std::size_t(image.width) * 3;
  if (reader.info.out_color_space == JCS_RGB) {
    return read_rows(reader, image.pixels.data(), row_bytes, static_cast<unsigned>(image.height));
  }
  row.resize(std::size_t(image.width) * 4);
  for (int y = 0; y < image.height; ++y) {
    if (!read_rows(reader, row.data(), row.size(), 1)) return false;
    cmyk_to_rgb(row.data(), image.pixel(y, 0), image.width);
  }
  return true;
}

// Parses what is left. libjpeg does not look at what is skipped up to the last row, so that one is made.
bool read_to_end(JpegReader& reader, std::vector<std::uint8_t>& row) {
  const unsigned left = reader.info.output_height - reader.info.output_scanline;
  if (left > 0) {
    row.resize(std::size_t(reader.info.output_width) * 4);
    if (!skip_rows(reader, left - 1) || !read_rows(reader, row.data(), row.size(), 1)) return false;
  }
  return finish(reader);
}

// A progressive file may end before every coefficient is exact.
bool is_coarse(const JpegReader& reader) {
  if (reader.info.coef_bits == nullptr) return false;
  for (int component = 0; component < reader.info.num_components; ++component) {
    const int* bits = reader.info.coef_bits[component];
    if (std::any_of(bits, bits + DCTSIZE2, [](int missing) { return missing != 0; })) return true;
  }
  return false;
}

// Huffman coding spends at least a bit on each block of 8 x 8. A file with fewer bits has no whole picture, and
// the time that decoding takes is bounded by the file's size.
bool is_far_too_short(const JpegReader& reader, std::size_t size) {
  if (reader.info.arith_code) return false;
  const std::uint64_t blocks =
      ((std::uint64_t{reader.info.image_height} + 7) / 8) * ((std::uint64_t{reader.info.image_width} + 7) / 8);
  // Of all components, the one with the highest sampling has this many, or a few less at the edges.
  return std::uint64_t{size} * 8 < blocks;
}

std::string failure(const JpegReader& reader, const DecodeLimits& limits) {
  if (reader.too_many_scans) return fmt::format("damaged JPEG: more than {} scans", limits.max_scans);
  if (reader.fatal_code == JERR_NO_BACKING_STORE) {
    return fmt::format("decoding needs more than {} MiB of memory", limits.max_decoder_bytes >> 20);
  }
  if (reader.is_truncated()) return "truncated JPEG: the file ends before its pixels do";
  if (reader.file_ended) return fmt::format("truncated JPEG: {}", reader.message);
  return fmt::format("damaged JPEG: {}", reader.message);
}

}  // namespace

JpegDecoder::JpegDecoder() : reader_(std::make_unique<JpegReader>()) {}
JpegDecoder::~JpegDecoder() = default;

void JpegDecoder::open(ByteSpan bytes, const DecodeLimits& limits, ImageHeader& header) {
  bytes_ = bytes;
  limits_ = limits;
  reader_->renew();
  JpegReader& reader = *reader_;
  if (!read_header(reader, bytes.data(), bytes.size(), limits)) {
    header.reason = failure(reader, limits);
    return;
  }
  set_size(reader.info.image_height, reader.info.image_width, limits, header);
  if (!header.ok()) return;
  const int components = reader.info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    header.reason = fmt::format("a JPEG with {} components (1, 3 or 4 expected)", components);
  }
  if (header.ok() && is_far_too_short(reader, bytes.size())) {
    header.reason = fmt::format("truncated JPEG: {} bytes cannot hold {} x {} pixels", bytes.size(),
                                header.width, header.height);
  }
  reader.info.out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
}

// False when there was any trouble. Damaged colour-space markers, too, are found here: they can ask for a
// conversion that libjpeg does not have.
bool JpegDecoder::decode_part(Region wanted, ReadTo read_to, Decoded& out) {
  JpegReader& reader = *reader_;
  if (!start(reader)) return false;
  if (is_coarse(reader)) wanted = {0, 0, out.picture_height, out.picture_width};
  const int picture_width = static_cast<int>(reader.info.output_width);
  out.top = wanted.top;
  out.left = std::max(0, wanted.left - 1);
  int width = std::min(picture_width, wanted.right() + 1) - out.left;
  if (width < picture_width) {
    auto left = static_cast<JDIMENSION>(out.left), columns = static_cast<JDIMENSION>(width);
    if (!crop_columns(reader, left, columns)) return false;
    out.left = static_cast<int>(left);
    width = static_cast<int>(columns);
  }
  out.image.resize(wanted.height, width);
  if (!skip_rows(reader, static_cast<unsigned>(out.top)) || !read_image(reader, out.image, row_)) return false;
  if (read_to == ReadTo::file_end && !read_to_end(reader, row_)) return false;
  return true;
}

void JpegDecoder::decode(const Region& wanted, ReadTo read_to, Decoded& out) {
  const Region whole{0, 0, out.picture_height, out.picture_width};
  bool well = decode_part(wanted, read_to, out);
  if ((!well || reader_->warned) && !wanted.contains(whole)) {
    ImageHeader same;
    open(bytes_, limits_, same);
    well = decode_part(whole, ReadTo::file_end, out);
  }
  if (!well) {
    reject(out, failure(*reader_, limits_));
  } else {
    out.outcome = reader_->warned ? Outcome::damaged : Outcome::ok;
    out.reason = reader_->warned ? reader_->message : "";
  }
  reader_->renew();
}

}  // namespace kindred::detail
