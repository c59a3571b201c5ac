// Names what a file is that no decoder takes, so that its owner knows what to do about it.
#include <kindred/data/images/decode_formats.h>
#include <kindred/engine/trimmed.h>

#include <fmt/core.h>

#include <string_view>

namespace kindred::detail {
namespace {

using namespace std::string_view_literals;  // for signatures with zeros in them

// A file of this kind has these bytes at this place.
struct ForeignKind {
  std::size_t at;
  std::string_view bytes;
  std::string_view what;
};

constexpr ForeignKind foreign_pictures[] = {
    {0, "GIF87a"sv, "GIF"},
    {0, "GIF89a"sv, "GIF"},
    {8, "WEBP"sv, "WebP"},  // behind "RIFF" and a size
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "II+\0"sv, "TIFF"},  // BigTIFF
    {0, "MM\0+"sv, "TIFF"},
    {0, "\xFF\x0A"sv, "JPEG XL"},
    {0, "\0\0\0\x0CJXL \r\n\x87\n"sv, "JPEG XL"},
    {0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    {0, "\0\0\0\x0CjP  \r\n\x87\n"sv, "JPEG 2000"},
    {0, "8BPS"sv, "Photoshop"},
    {0, "\0\0\1\0"sv, "an icon (ICO)"},
    {0, "qoif"sv, "QOI"},
    {0, "v/1\x01"sv, "OpenEXR"},
    {0, "#?RADIANCE"sv, "Radiance HDR"},
    {128, "DICM"sv, "DICOM"},
};

constexpr ForeignKind foreign_files[] = {
    {0, "version https://git-lfs.github.com/"sv, "a Git LFS pointer: run git lfs pull"},
    {0, "/annex/objects/"sv, "a git-annex pointer: run git annex get"},
    {0, "%PDF-"sv, "a PDF document"},
    {0, "PK\3\4"sv, "a zip archive: unpack it"},
    {0, "\x1F\x8B"sv, "a gzip archive: unpack it"},
    {257, "ustar"sv, "a tar archive: unpack it"},
    {0, "\x93NUMPY"sv, "a NumPy array"},
    {0, "\x89HDF"sv, "an HDF5 file"},
};

std::string_view kind_in(std::span<const ForeignKind> kinds, std::string_view text) {
  for (const ForeignKind& kind : kinds)
    if (text.size() > kind.at && text.substr(kind.at).starts_with(kind.bytes)) return kind.what;
  return {};
}

// HEIC, AVIF and videos share a container, whose brands say what is in it: the main one, a version, and further
// ones.
std::string_view container_kind(std::string_view text) {
  if (text.size() < 12 || text.substr(4, 4) != "ftyp") return {};
  const std::string_view brands = text.substr(8, 32);
  const auto has = [&](std::string_view brand) { return brands.find(brand) != std::string_view::npos; };
  if (has("avif") || has("avis")) return "AVIF";
  for (const char* brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"})
    if (has(brand)) return "HEIC";
  return "a video (MP4 or QuickTime)";
}

// The formats of Netpbm: P1 to P7 and a space or a line end.
std::string_view netpbm_kind(std::string_view text) {
  constexpr std::string_view kinds[] = {"PBM", "PGM", "PPM", "PBM", "PGM", "PPM", "PAM"};
  if (text.size() < 3 || text[0] != 'P' || text[1] < '1' || text[1] > '7') return {};
  const char next = text[2];
  if (next != ' ' && next != '\t' && next != '\r' && next != '\n') return {};
  return kinds[text[1] - '1'];
}

// `expected` is in lower case.
bool starts_in_any_case(std::string_view text, std::string_view expected) {
  if (text.size() < expected.size()) return false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const char lower = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + ('a' - 'A')) : text[i];
    if (lower != expected[i]) return false;
  }
  return true;
}

// What a server sends in place of a picture, and drawings in XML.
std::string_view markup_kind(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // the byte order mark of UTF-8
  text = trimmed(text);
  for (const char* begin : {"<!doctype html", "<html", "<head", "<body"})
    if (starts_in_any_case(text, begin)) return "an HTML page";
  if (text.starts_with("<svg")) return "SVG";
  if (!text.starts_with("<?xml")) return {};
  return text.substr(0, 1024).find("<svg") != std::string_view::npos ? "SVG" : "an XML file";
}

std::string unreadable_picture(std::string_view kind) {
  return fmt::format("{}; this build cannot read it", kind);
}

}  // namespace

std::string_view picture_kind(ByteSpan bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto kind = kind_in(foreign_pictures, text); !kind.empty()) return kind;
  if (const auto kind = netpbm_kind(text); !kind.empty()) return kind;
  return container_kind(text);
}

std::string why_no_picture(ByteSpan bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const auto kind = netpbm_kind(text); !kind.empty() && (text[1] == '2' || text[1] == '3'))
    return fmt::format("{} as text (P{}); convert it to the binary form (P{})", kind, text[1],
                       text[1] == '2' ? '5' : '6');
  if (const auto kind = picture_kind(bytes); !kind.empty()) return unreadable_picture(kind);
  if (const auto kind = markup_kind(text); !kind.empty())
    return kind == "SVG" ? unreadable_picture(kind) : std::string(kind);
  if (const auto kind = kind_in(foreign_files, text); !kind.empty()) return std::string(kind);
  if (text.size() >= 16 && text.find_first_not_of('\0') == std::string_view::npos)
    return "holds only zeros: it was not copied or downloaded completely";
  return "not an image file of a known format";
}

}  // namespace kindred::detail
