#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/data/images/jpeg_writer.h>
#include <kindred/data/images/shrink.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::uint8_t atlas_grey = 128;
constexpr std::size_t most_letters_of_group = 160;

const char* verdict_class(Verdict verdict) {
  return verdict == Verdict::right ? " right" : verdict == Verdict::wrong ? " wrong" : "";
}

// The mark, with a word for those who hear the page.
const char* verdict_mark(Verdict verdict) {
  if (verdict == Verdict::right)
    return "<span class=\"mark\" aria-hidden=\"true\">✓ </span><span class=\"unseen\">right: </span>";
  if (verdict == Verdict::wrong)
    return "<span class=\"mark\" aria-hidden=\"true\">✗ </span><span class=\"unseen\">wrong: </span>";
  return "";
}

// Of a path what stands behind the folders. A slash between words is none of a path.
std::string_view last_part(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  if (slash == name.npos || slash + 1 == name.size() || name[slash + 1] == ' ') return name;
  return name.substr(slash + 1);
}

std::string group_heading(const std::string& group) {
  const std::string shown = shortened_text(group, most_letters_of_group);
  return fmt::format("<p class=\"group-name\"{}>{}</p>",
                     shown == group ? "" : " title=\"" + html_text(group) + "\"", html_text(shown));
}

std::string picture_figure(const GalleryPicture& picture) {
  const std::string name = html_text(picture.name), note = html_text(picture.note);
  std::string html = fmt::format("<figure class=\"picture{}\">", verdict_class(picture.verdict));
  if (picture.image.empty())
    html += "<span class=\"no-picture\"></span>";
  else  // its name stands below it, and is not said twice
    html += fmt::format("<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"\" decoding=\"async\">",
                        jpeg_uri(picture.image), picture.image.width, picture.image.height);
  html += fmt::format("<figcaption><span class=\"name\" title=\"{}\">{}</span>", name,
                      html_text(last_part(picture.name)));
  const std::string mark = verdict_mark(picture.verdict);
  if (!note.empty() || !mark.empty())
    html += fmt::format("<span class=\"note\" title=\"{}\">{}{}</span>", note, mark, note);
  return html + "</figcaption></figure>\n";
}

}  // namespace

std::string base64(std::string_view bytes) {
  constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u;
    };
    const unsigned three = byte(0) << 16 | byte(1) << 8 | byte(2);
    text += digits[three >> 18];
    text += digits[three >> 12 & 63];
    text += i + 1 < bytes.size() ? digits[three >> 6 & 63] : '=';
    text += i + 2 < bytes.size() ? digits[three & 63] : '=';
  }
  return text;
}

std::string jpeg_uri(const Image& image, int quality) {
  check(!image.empty(), ExitCode::internal, "a picture of a page is empty");
  const std::vector<std::uint8_t> jpeg = encode_jpeg(image, quality);
  return "data:image/jpeg;base64," + base64({reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
}

std::string gallery(const std::vector<GalleryPicture>& pictures, int side) {
  std::string html = fmt::format("<div class=\"gallery\" style=\"--side:{}px\">\n", side);
  for (std::size_t i = 0; i < pictures.size(); ++i) {
    const std::string& group_name = pictures[i].group;
    if (i == 0 || !group_name.empty()) {
      html += i > 0 ? "</div></div>\n" : "";
      html += "<div class=\"group\">";
      if (!group_name.empty()) html += group_heading(group_name);
      html += "<div class=\"pictures\">\n";
    }
    html += picture_figure(pictures[i]);
  }
  return html + (pictures.empty() ? "" : "</div></div>\n") + "</div>\n";
}

Image atlas(const std::vector<Image>& pictures, int side, int columns) {
  check(side >= 1 && columns >= 1, ExitCode::internal, "an atlas of {} columns of {} pixels", columns, side);
  const int count = static_cast<int>(pictures.size()), rows = (count + columns - 1) / columns;
  Image sheet(rows * side, count > 0 ? columns * side : 0);
  std::ranges::fill(sheet.pixels, atlas_grey);
  for (int i = 0; i < count; ++i) {
    const Image& given = pictures[static_cast<std::size_t>(i)];
    if (given.empty()) continue;
    const Image picture = shrink_to(given, side);
    const int top = i / columns * side + (side - picture.height) / 2;
    const int left = i % columns * side + (side - picture.width) / 2;
    for (int y = 0; y < picture.height; ++y)
      std::copy_n(picture.pixel(y, 0), std::size_t(picture.width) * 3, sheet.pixel(top + y, left));
  }
  return sheet;
}

}  // namespace kindred
