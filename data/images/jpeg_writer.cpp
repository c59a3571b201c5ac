// As in jpeg.cpp, the function that calls setjmp has no objects with a destructor.
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/engine/error.h>

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs FILE
#include <cstdlib>

#include <jpeglib.h>

namespace kindred {
namespace {

struct JpegWriter {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  std::jmp_buf escape;
  char message[JMSG_LENGTH_MAX] = {};
  unsigned char* bytes = nullptr;  // allocated by libjpeg, with malloc
  unsigned long size = 0;

  JpegWriter() = default;
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(bytes);
  }
};

[[noreturn]] void on_fatal_error(j_common_ptr info) {
  JpegWriter& writer = *static_cast<JpegWriter*>(info->client_data);
  info->err->format_message(info, writer.message);
  std::longjmp(writer.escape, 1);
}

bool encode(JpegWriter& writer, const std::uint8_t* pixels, int height, int width, int quality) {
  writer.info.err = jpeg_std_error(&writer.errors);
  writer.errors.error_exit = on_fatal_error;
  writer.info.client_data = &writer;
  if (setjmp(writer.escape)) return false;
  jpeg_create_compress(&writer.info);
  jpeg_mem_dest(&writer.info, &writer.bytes, &writer.size);
  writer.info.image_height = static_cast<JDIMENSION>(height);
  writer.info.image_width = static_cast<JDIMENSION>(width);
  writer.info.input_components = 3;
  writer.info.in_color_space = JCS_RGB;
  jpeg_set_defaults(&writer.info);
  jpeg_set_quality(&writer.info, quality, TRUE);
  jpeg_start_compress(&writer.info, TRUE);
  while (writer.info.next_scanline < writer.info.image_height) {
    // libjpeg does not write to its input; its interface predates const.
    JSAMPROW row =
        const_cast<JSAMPROW>(pixels + std::size_t(writer.info.next_scanline) * std::size_t(width) * 3);
    jpeg_write_scanlines(&writer.info, &row, 1);
  }
  jpeg_finish_compress(&writer.info);
  return true;
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
  JpegWriter writer;
  const bool done = encode(writer, image.pixels.data(), image.height, image.width, quality);
  check(done, ExitCode::internal, "writing a JPEG of {} x {} pixels: {}", image.width, image.height,
        writer.message);
  return std::vector<std::uint8_t>(writer.bytes, writer.bytes + writer.size);
}

}  // namespace kindred
