#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/files/file.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/images/decode_formats.h>
#include <kindred/data/images/jpeg_writer.h>
#include <sys/stat.h>  // defines: mkfifo

#include <string>
#include <utility>

using namespace kindred;
using namespace kindred::test;

namespace {

bool is_sane(const Decoded& d) {
  if (d.outcome == Outcome::rejected) return d.image.empty() && !d.reason.empty();
  const std::size_t expected = std::size_t(d.image.height) * std::size_t(d.image.width) * 3;
  return d.image.pixels.size() == expected && expected > 0 && (d.outcome == Outcome::ok) == d.reason.empty();
}

// Prefixes of many lengths: no crash, and never an "ok" picture from half a file.
void check_truncations(const Bytes& file, bool ok_when_short = false) {
  REQUIRE(decode_image(file).outcome == Outcome::ok);
  for (std::size_t length = 0; length < file.size(); length += 1 + file.size() / 400) {
    const Decoded d = decode_image(std::span(file).first(length));
    CAPTURE(length);
    CHECK(is_sane(d));
    if (!ok_when_short) CHECK(d.outcome != Outcome::ok);
    if (length < file.size() / 2) CHECK(d.outcome == Outcome::rejected);
  }
}

// Files with changed bytes: any outcome is allowed, but it must be consistent.
void check_flips(const Bytes& file) {
  std::uint32_t state = 12345;
  for (int i = 0; i < 600; ++i) {
    Bytes hostile = file;
    for (int k = 0; k <= i % 3; ++k) {
      state = state * 1664525u + 1013904223u;
      hostile[(state >> 8) % (i % 2 ? hostile.size() : std::min<std::size_t>(hostile.size(), 200))] ^=
          static_cast<std::uint8_t>(1 + (state >> 24) % 255);
    }
    DecodeLimits limits;
    limits.max_pixels = 1 << 22;
    CHECK(is_sane(decode_image(hostile, limits)));
  }
}

}  // namespace

TEST_CASE("decode: colour, gray and progressive JPEG") {
  const Image image = smooth_image(37, 53);
  for (const bool progressive : {false, true}) {
    const Decoded d = decode_image(write_jpeg(image.pixels, 37, 53, 3, progressive));
    CHECK(d.outcome == Outcome::ok);
    CHECK(largest_difference(d.image, image) <= 8);
  }
  Bytes gray(37 * 53);
  Image as_rgb(37, 53);
  for (std::size_t i = 0; i < gray.size(); ++i) {
    gray[i] = image.pixels[3 * i];
    for (std::size_t c = 0; c < 3; ++c) as_rgb.pixels[3 * i + c] = gray[i];
  }
  CHECK(largest_difference(decode_image(write_jpeg(gray, 37, 53, 1)).image, as_rgb) <= 6);
}

TEST_CASE("decode: CMYK JPEG is Adobe's inverted kind, multiplied out") {
  Bytes cmyk(32 * 32 * 4);
  Image expected(32, 32);
  for (int y = 0; y < 32; ++y)
    for (int x = 0; x < 32; ++x) {
      const int ink[4] = {x * 4, y * 4, 60, (x + y) * 2};  // 255 is full ink
      for (int c = 0; c < 4; ++c)
        cmyk[std::size_t(y * 32 + x) * 4 + std::size_t(c)] = static_cast<std::uint8_t>(255 - ink[c]);
      for (int c = 0; c < 3; ++c)
        expected.pixel(y, x)[c] = static_cast<std::uint8_t>((255 - ink[c]) * (255 - ink[3]) / 255.0 + 0.5);
    }
  const Decoded d = decode_image(write_jpeg(cmyk, 32, 32, 4));
  CHECK(d.outcome == Outcome::ok);
  CHECK(largest_difference(d.image, expected) <= 5);
}

TEST_CASE("decode: YCCK is CMYK in another coat") {
  JpegSpec spec;
  spec.height = spec.width = 32;
  spec.components = 4;
  const Bytes cmyk = smooth_image(32, 64).pixels;  // any 32 x 32 x 4 bytes
  const Image plain = decode_image(write_jpeg(spec, cmyk)).image;
  spec.ycck = true;
  const Decoded d = decode_image(write_jpeg(spec, cmyk));
  CHECK(d.outcome == Outcome::ok);
  CHECK(largest_difference(d.image, plain) <= 20);  // inks are quantised separately, or as luma and chroma
  CHECK(largest_difference(d.image, Image(32, 32)) > 100);
}

TEST_CASE("decode: headers alone") {
  const Image image = smooth_image(30, 41);
  const auto probed = [&](const Bytes& bytes, ImageFormat format) {
    const ImageHeader header = probe_image(bytes);
    return header.ok() && header.format == format && header.height == 30 && header.width == 41;
  };
  CHECK(probed(encode_jpeg(image, 90), ImageFormat::jpeg));
  CHECK(probed(write_png({30, 41, 8, 2, {}}, image.pixels), ImageFormat::png));
  CHECK(probed(write_bmp(image), ImageFormat::bmp));
  CHECK(probe_image(Bytes{1, 2, 3}).reason == "not an image file of a known format");
  CHECK(probe_image({}).format == ImageFormat::none);
  // A picture that ends too early has no size, though its header says one.
  Bytes png = write_png({30, 41, 8, 2, {}}, image.pixels);
  png.resize(png.size() - 12);  // without IEND all pixels are there
  CHECK(probed(png, ImageFormat::png));
  for (Bytes bytes : {png, write_bmp(image), Bytes{'P', '5', ' ', '4', ' ', '4', ' ', '9', ' ', 1}}) {
    bytes.pop_back();
    const ImageHeader header = probe_image(bytes);
    CHECK(header.reason.starts_with("truncated "));
    CHECK(header.format != ImageFormat::none);
    CHECK(header.height == 0);
    CHECK(header.width == 0);
  }
}

TEST_CASE("decode: a JPEG with fewer bits than blocks is refused before anything is allocated") {
  Bytes jpeg = encode_jpeg(smooth_image(16, 16), 90);
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] != 0xFF || jpeg[i + 1] != 0xC0) continue;
    jpeg[i + 5] = jpeg[i + 7] = 8000 >> 8;
    jpeg[i + 6] = jpeg[i + 8] = 8000 & 0xFF;
    break;
  }
  CHECK(probe_image(jpeg).reason.find("cannot hold 8000 x 8000 pixels") != std::string::npos);
  // A picture of one colour has the smallest possible file: about one bit a block.
  CHECK(decode_image(encode_jpeg(Image(1600, 1600), 1)).outcome == Outcome::ok);
}

TEST_CASE("decode: every kind of PNG becomes RGB") {
  const Image image = formula_image(9, 11);
  CHECK(decode_image(write_png({9, 11, 8, 2, {}}, image.pixels)).image.pixels == image.pixels);
  Bytes rgba, deep, gray, gray_alpha, expected_gray;
  for (std::size_t i = 0; i < 9 * 11; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      rgba.push_back(image.pixels[3 * i + c]);
      deep.push_back(image.pixels[3 * i + c]);  // the high byte is kept
      deep.push_back(0x7F);
      expected_gray.push_back(image.pixels[3 * i]);
    }
    rgba.push_back(static_cast<std::uint8_t>(i));  // dropped, not blended
    gray.push_back(image.pixels[3 * i]);
    gray_alpha.push_back(image.pixels[3 * i]);
    gray_alpha.push_back(0);
  }
  CHECK(decode_image(write_png({9, 11, 8, 6, {}}, rgba)).image.pixels == image.pixels);
  CHECK(decode_image(write_png({9, 11, 16, 2, {}}, deep)).image.pixels == image.pixels);
  CHECK(decode_image(write_png({9, 11, 8, 0, {}}, gray)).image.pixels == expected_gray);
  CHECK(decode_image(write_png({9, 11, 8, 4, {}}, gray_alpha)).image.pixels == expected_gray);
  const Decoded d = decode_image(write_png({2, 2, 8, 3, {1, 2, 3, 200, 100, 50}}, {0, 1, 1, 0}));
  CHECK(d.image.pixels == Bytes{1, 2, 3, 200, 100, 50, 200, 100, 50, 1, 2, 3});
}

TEST_CASE("decode: BMP") {
  const Image image = formula_image(7, 5);
  const Bytes bmp = write_bmp(image);
  const Decoded d = decode_image(bmp);
  CHECK(d.outcome == Outcome::ok);
  CHECK(d.image.pixels == image.pixels);
  // The header of OS/2 and Windows 2 has twelve bytes, with numbers of 16 bits.
  Bytes oldest(bmp.begin(), bmp.begin() + 14);
  oldest[10] = 26;  // where the pixels begin
  for (const std::uint8_t number :
       {12, 0, 5, 7, 1, 24}) {  // bytes of the header (32 bits), width, height, 1, bits
    oldest.push_back(number);
    oldest.push_back(0);
  }
  oldest.insert(oldest.end(), bmp.begin() + 54, bmp.end());
  CHECK(decode_image(oldest).outcome == Outcome::ok);
  CHECK(decode_image(oldest).image.pixels == image.pixels);
  Bytes top_down = bmp;
  top_down[22] = 0xF9;  // height -7
  top_down[23] = top_down[24] = top_down[25] = 0xFF;
  CHECK(decode_image(top_down).image.height == 7);
  Bytes lowest = top_down;
  lowest[22] = lowest[23] = lowest[24] = 0;  // height -2^31, whose negative is no int
  lowest[25] = 0x80;
  CHECK(decode_image(lowest).outcome == Outcome::rejected);
}

TEST_CASE("decode: truncated files") {
  const Image image = formula_image(48, 64);
  check_truncations(write_jpeg(image.pixels, 48, 64, 3));
  check_truncations(write_png({48, 64, 8, 2, {}}, image.pixels));
  check_truncations(write_bmp(image));
  Bytes jpeg = write_jpeg(image.pixels, 48, 64, 3);
  jpeg.resize(jpeg.size() - 2);  // only the end marker is missing: the pixels are all there
  CHECK(decode_image(jpeg).outcome == Outcome::damaged);
  jpeg.resize(jpeg.size() * 2 / 3);
  CHECK(decode_image(jpeg).reason.find("truncated") != std::string::npos);
  // Some prefixes of a progressive file end with a scan; then the picture is complete but coarse.
  const Bytes progressive = write_jpeg(image.pixels, 48, 64, 3, true);
  for (std::size_t length = 0; length < progressive.size(); length += 7) {
    const Decoded d = decode_image(std::span(progressive).first(length));
    CHECK(is_sane(d));
    CHECK(d.outcome != Outcome::ok);
  }
}

TEST_CASE("decode: changed bytes never crash") {
  const Image image = formula_image(40, 40);
  check_flips(write_jpeg(image.pixels, 40, 40, 3));
  check_flips(write_jpeg(image.pixels, 40, 40, 3, true));
  check_flips(write_png({40, 40, 8, 2, {}}, image.pixels));
  check_flips(write_bmp(image));
}

TEST_CASE("decode: a changed byte in a PNG is noticed") {
  Bytes png = write_png({20, 20, 8, 2, {}}, formula_image(20, 20).pixels);
  png[png.size() / 2] ^= 1;
  CHECK(decode_image(png).reason == "damaged PNG: a checksum does not match");
}

TEST_CASE("decode: a header that claims 60000 x 60000 is refused before anything is allocated") {
  Bytes jpeg = write_jpeg(smooth_image(16, 16).pixels, 16, 16, 3);
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] != 0xFF || jpeg[i + 1] != 0xC0) continue;
    jpeg[i + 5] = jpeg[i + 7] = 60000 >> 8;
    jpeg[i + 6] = jpeg[i + 8] = 60000 & 0xFF;
    break;
  }
  const std::string expected = "its header says 60000 x 60000 pixels, more than the limit of 178956970";
  CHECK(decode_image(jpeg).reason == expected);
  CHECK(decode_image(write_png({60000, 60000, 8, 2, {}}, {})).reason == expected);
  Bytes bmp = write_bmp(smooth_image(4, 4));
  bmp[18] = bmp[22] = 60000 & 0xFF;
  bmp[19] = bmp[23] = 60000 >> 8;
  CHECK(decode_image(bmp).reason == expected);
}

TEST_CASE("decode: limits on scans and memory") {
  const Bytes progressive = write_jpeg(smooth_image(64, 64).pixels, 64, 64, 3, true);
  DecodeLimits limits;
  limits.max_scans = 3;
  CHECK(decode_image(progressive, limits).reason == "damaged JPEG: more than 3 scans");
  const Bytes large = write_jpeg(smooth_image(1200, 1200).pixels, 1200, 1200, 3, true);
  limits = {};
  limits.max_decoder_bytes = 1 << 20;
  CHECK(decode_image(large, limits).reason == "decoding needs more than 1 MiB of memory");
}

TEST_CASE("decode: what is no image is rejected with a reason") {
  const std::string not_one = "not an image file of a known format";
  CHECK(decode_image({}).reason == "the file is empty");
  CHECK(decode_image(Bytes{'h', 'e', 'l', 'l', 'o'}).reason == not_one);
  CHECK(decode_image(Bytes{0xFF}).reason == not_one);
  CHECK(decode_image(Bytes{0xFF, 0xD8}).outcome == Outcome::rejected);
  CHECK(decode_image(Bytes{'B', 'M'}).outcome == Outcome::rejected);
}

TEST_CASE("decode: what is no image, or of a format that the build cannot read, is named by its first bytes") {
  using namespace std::string_literals;  // for texts with zeros in them
  const auto why = [](const std::string& text) {
    return detail::why_no_picture(Bytes(text.begin(), text.end()));
  };
  const std::pair<std::string, const char*> pictures[] = {
      {"GIF89a\1\0\1\0"s, "GIF"},
      {"RIFF\x10\0\0\0WEBPVP8 "s, "WebP"},
      {"II*\0\x8\0\0\0"s, "TIFF"},
      {"MM\0*\0\0\0\x8"s, "TIFF"},
      {"\0\0\0\x18"s + "ftypheic\0\0\0\0mif1heic"s, "HEIC"},
      {"\0\0\0\x1C"s + "ftypmif1\0\0\0\0mif1avifmiaf"s, "AVIF"},
      {"\xFF\x0A\x10"s, "JPEG XL"},
      {"\0\0\0\x0CJXL \r\n\x87\n"s, "JPEG XL"},
      {"\0\0\0\x0CjP  \r\n\x87\n"s, "JPEG 2000"},
      {"P4\n8 1\n\1"s, "PBM"},
      {"\0\0\0\x18"s + "ftypisom\0\0\0\0isomiso2"s, "a video (MP4 or QuickTime)"},
      {"<?xml version=\"1.0\"?>\n<svg width=\"9\">"s, "SVG"}};
  for (const auto& [text, name] : pictures) {
    CAPTURE(name);
    CHECK(why(text) == std::string(name) + "; this build cannot read it");
  }
  CHECK(why("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n") ==
        "a Git LFS pointer: run git lfs pull");
  CHECK(why("/annex/objects/SHA256E-s9--0.jpg\n") == "a git-annex pointer: run git annex get");
  for (const char* page : {"<!DOCTYPE html>\n", "\xEF\xBB\xBF \r\n<html lang=en>", "<HTML>", "<head>"})
    CHECK(why(page) == "an HTML page");
  CHECK(why("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>") == "an XML file");
  CHECK(why("%PDF-1.7") == "a PDF document");
  CHECK(why("PK\3\4....") == "a zip archive: unpack it");
  CHECK(why(std::string(64, '\0')) == "holds only zeros: it was not copied or downloaded completely");
  // Not mistaken for one of them.
  for (const char* text : {"P8 1", "P5", "GIF90a", "version 1", "<hello", "ftyp", "\xEF\xBB\xBF"}) {
    CAPTURE(text);
    CHECK(why(text) == "not an image file of a known format");
  }
  // Decoding says the same, whatever the file is called.
  const TempFolder folder;
  folder.write("a.jpg", Bytes{'<', 'h', 't', 'm', 'l', '>'});
  CHECK(decode_file((folder.path() / "a.jpg").string()).reason == "an HTML page");
}

TEST_CASE("file: folders, FIFOs, large and missing files are refused without blocking") {
  const TempFolder folder;
  folder.write("some", Bytes(100));
  CHECK(read_file((folder.path() / "some").string(), 100).bytes.size() == 100);
  CHECK(read_file((folder.path() / "some").string(), 99).reason == "has 100 bytes, more than the limit of 99");
  CHECK(read_file(folder.string(), 99).reason == "is a folder, not a file");
  CHECK(read_file((folder.path() / "none").string(), 99).reason ==
        "cannot be opened: No such file or directory");
  const std::string fifo = (folder.path() / "fifo").string();
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(read_file(fifo, 99).reason == "is not a regular file");
  CHECK(read_file("/dev/zero", 99).reason == "is not a regular file");
  // A regular file for which every read gives EIO: address 0 of this process.
  CHECK(read_file("/proc/self/mem", 99).reason == "cannot be read: Input/output error");
  // A file that reports size 0 but is not empty.
  CHECK(read_file("/proc/self/status", 1 << 20).bytes.size() > 100);
  CHECK(read_file("/proc/self/status", 10).reason == "has grown beyond the limit of 10 bytes");
  CHECK(decode_file(fifo).outcome == Outcome::rejected);
}
