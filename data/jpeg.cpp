// JPEG by libjpeg-turbo.
//
// libjpeg reports a fatal error by calling back, and the callback must not return: it jumps (longjmp). A jump
// skips destructors, so every function here that calls setjmp holds nothing with a destructor, and does one
// short thing. What must be released lies in JpegReader, outside of them.

#include <fmt/format.h>
#include <kindred/data/decode_formats.h>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE

#include <jpeglib.h>

#include <jerror.h>  // defines: JWRN_JPEG_EOF, JWRN_HIT_MARKER, JERR_NO_BACKING_STORE

namespace kindred::detail {
namespace {

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
};

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

bool read_pixels(JpegReader& reader, Image& image) {
  const std::size_t row_bytes = std::size_t(image.width) * 3;
  if (reader.info.out_color_space == JCS_RGB) {
    return read_rows(reader, image.pixels.data(), row_bytes, static_cast<unsigned>(image.height));
  }
  std::vector<std::uint8_t> cmyk(std::size_t(image.width) * 4);
  for (int y = 0; y < image.height; ++y) {
    if (!read_rows(reader, cmyk.data(), cmyk.size(), 1)) return false;
    cmyk_to_rgb(cmyk.data(), image.pixel(y, 0), image.width);
  }
  return true;
}

Decoded failure(const JpegReader& reader, const DecodeLimits& limits) {
  if (reader.too_many_scans) return rejected(fmt::format("damaged JPEG: more than {} scans", limits.max_scans));
  if (reader.fatal_code == JERR_NO_BACKING_STORE) {
    return rejected(fmt::format("decoding needs more than {} MiB of memory", limits.max_decoder_bytes >> 20));
  }
  if (reader.file_ended) return rejected(fmt::format("truncated JPEG: {}", reader.message));
  return rejected(fmt::format("damaged JPEG: {}", reader.message));
}

}  // namespace

Decoded decode_jpeg(std::span<const std::uint8_t> bytes, const DecodeLimits& limits) {
  JpegReader reader;
  if (!read_header(reader, bytes.data(), bytes.size(), limits)) return failure(reader, limits);

  std::string problem = size_problem(reader.info.image_height, reader.info.image_width, limits);
  if (!problem.empty()) return rejected(std::move(problem));
  const int components = reader.info.num_components;
  if (components != 1 && components != 3 && components != 4) {
    return rejected(fmt::format("a JPEG with {} components (1, 3 or 4 expected)", components));
  }
  reader.info.out_color_space = components == 4 ? JCS_CMYK : JCS_RGB;
  // Damaged colour-space markers can ask for a conversion that libjpeg does not have: a fatal error, caught
  // here.
  if (!start(reader)) return failure(reader, limits);

  Decoded result;
  result.image = Image(static_cast<int>(reader.info.image_height), static_cast<int>(reader.info.image_width));
  if (!read_pixels(reader, result.image)) return failure(reader, limits);
  if (!finish(reader)) return failure(reader, limits);
  if (reader.file_ended && reader.pixels_ended) {
    return rejected("truncated JPEG: the file ends before its pixels do");
  }
  result.outcome = reader.warned ? Outcome::damaged : Outcome::ok;
  if (reader.warned) result.reason = reader.message;
  return result;
}

}  // namespace kindred::detail
