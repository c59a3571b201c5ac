// JPEG by libjpeg-turbo, with decoding of parts of a picture.
//
// libjpeg reports a fatal error by a callback that must not return, so it jumps (longjmp). A jump skips
// destructors. So every function here that calls setjmp has no objects with a destructor and does one short
// task. Everything that must be released is in JpegReader, outside of these functions.
//
// To decode a part of a picture, blocks left and right of it are parsed but not transformed
// (jpeg_crop_scanline), and so are rows above and below it (jpeg_skip_scanlines). At the edges of the decoded
// area, libjpeg upsamples chroma without the neighbouring pixels, so one column may differ from a whole
// decoding. For that reason one more column than needed is requested on either side. A file that gives any
// warning is decoded again as a whole, from the start: the effect of the damage must not depend on which part
// was requested.

#include <fmt/core.h>
#include <kindred/data/images/decode_formats.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <new>

#include <jpeglib.h>

#include <jerror.h>  // defines: JWRN_JPEG_EOF, JWRN_HIT_MARKER, JERR_NO_BACKING_STORE, JERR_OUT_OF_MEMORY

namespace kindred::detail {

struct JpegReader {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX] = {};  // the fatal error or, if there is none, the first warning
  int fatal_code = 0;
  bool warned = false;
  bool file_ended = false;    // the file ended too early, and an end marker was invented
  bool pixels_ended = false;  // a scan needed bits that were not there
  bool too_many_scans = false;
  int max_scans = 0;

  JpegReader() = default;
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
  ~JpegReader() { jpeg_destroy_decompress(&info); }  // harmless if creating it failed

  // Resets the reader in place. libjpeg's memory is released, because it may be large.
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
  // Pixels are missing, so the file will be rejected. Stop now, before millions of gray pixels are decoded.
  if (reader.is_truncated()) std::longjmp(reader.escape, 1);
}

void print_nothing(j_common_ptr) {}

// Called for every row of blocks that is read. This is the only place where an excessive number of scans can be
// stopped.
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
  jpeg_start_decompress(&reader.info);  // reads all of a progressive file
  return true;
}

// Restricts the decoded columns to the blocks that contain [left, left + width), and returns where they begin.
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
  jpeg_finish_decompress(&reader.info);  // reads up to the end marker, so that a missing one is noticed
  return true;
}

// Adobe stores CMYK inverted (255 is no ink), and every CMYK JPEG is treated as Adobe's, as in Pillow. Then R =
// (1 - C)(1 - K) is a single product, computed here with Pillow's rounding.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::uint8_t* rgb, int width) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int channel = 0; channel < 3; ++channel) {
      const int ink = (255 - cmyk[channel]) * cmyk[3] + 128;
      rgb[channel] = static_cast<std::uint8_t>(cmyk[3] - (((ink >> 8) + ink) >> 8));
    }
  }
}

// Reads the next rows into an image of exactly this size. `row` is scratch memory.
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

// Parses the rest of the file. libjpeg does not check rows that are skipped up to the last one, so the last row
// is decoded.
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

// libjpeg keeps the coefficients of a file with several scans, 2 bytes each, until it has read the last one.
std::size_t bytes_of_coefficients(JpegReader& reader) {
  if (!jpeg_has_multiple_scans(&reader.info)) return 0;
  std::size_t blocks = 0;
  for (int component = 0; component < reader.info.num_components; ++component) {
    const jpeg_component_info& each = reader.info.comp_info[component];
    blocks += std::size_t{each.width_in_blocks} * std::size_t{each.height_in_blocks};
  }
  return blocks * DCTSIZE2 * sizeof(JCOEF);
}

// Huffman coding needs at least one bit for each block of 8 x 8. A file with fewer bits cannot contain a whole
// picture. This check bounds the decoding time by the size of the file.
bool is_far_too_short(const JpegReader& reader, std::size_t size) {
  if (reader.info.arith_code) return false;
  const std::uint64_t blocks =
      ((std::uint64_t{reader.info.image_height} + 7) / 8) * ((std::uint64_t{reader.info.image_width} + 7) / 8);
  // The component with the highest sampling has this many blocks, or a few less at the edges.
  return std::uint64_t{size} * 8 < blocks;
}

std::string failure(const JpegReader& reader, const DecodeLimits& limits) {
  if (reader.fatal_code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();  // the file is not to blame
  if (reader.too_many_scans) return fmt::format("damaged JPEG: more than {} scans", limits.max_scans);
  if (reader.fatal_code == JERR_NO_BACKING_STORE) {
    return fmt::format("decoding needs more than {} MiB of memory", limits.max_decoder_bytes >> 20);
  }
  if (reader.is_truncated()) return "truncated JPEG: the file ends before all pixels are there";
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
  if (header.ok()) header.decoder_bytes = bytes_of_coefficients(reader);
}

// Returns false if there was any problem. This also detects damaged colour-space markers, which can request a
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
