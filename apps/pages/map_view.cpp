#include <kindred/apps/pages/map_view.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/pages/pictures.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>

namespace kindred {
namespace {

constexpr int most_picture_side = 64;  // of a thumbnail in the page: enough under a pointer
constexpr int atlas_side = 2048;       // of an atlas: browsers draw larger pictures slowly, or not at all
constexpr int picture_block = 16;      // JPEG's blocks: squares of a multiple of it do not run into each other
constexpr std::uint32_t no_index = 0xffffffffu;

// Unsigned numbers of 1, 2 or 4 bytes each, the lowest byte first, as text. What is too large becomes the largest number.
nlohmann::json packed(std::span<const std::uint32_t> numbers, unsigned bytes) {
  const std::uint32_t largest = no_index >> (32 - 8 * bytes);
  std::string text;
  text.reserve(numbers.size() * bytes);
  for (const std::uint32_t number : numbers)
    for (unsigned b = 0; b < bytes; ++b) text += static_cast<char>(std::min(number, largest) >> (8 * b) & 0xff);
  return {{"bytes", bytes}, {"base64", base64(text)}};
}

// The bytes that hold every index below `count`, and one more number for "none".
unsigned bytes_for(std::size_t count) {
  return count < 0xff ? 1 : count < 0xffff ? 2 : 4;
}

std::vector<std::uint32_t> group_indices(const std::vector<std::int32_t>& of_rows, std::size_t count) {
  std::vector<std::uint32_t> found;
  found.reserve(of_rows.size());
  for (const std::int32_t i : of_rows)
    found.push_back(i >= 0 && static_cast<std::size_t>(i) < count ? static_cast<std::uint32_t>(i) : no_index);
  return found;
}

struct Extent {
  double low = 0, high = 0;

  std::uint32_t step(double value) const {  // 0 to 65535
    return high > low ? static_cast<std::uint32_t>(std::lround((value - low) / (high - low) * 65535)) : 0;
  }
};

Extent extent_of(const std::vector<float>& xy, std::size_t axis) {
  Extent extent;
  for (std::size_t i = axis; i < xy.size(); i += 2) {
    const double value = static_cast<double>(xy[i]);
    if (i == axis) extent = {value, value};
    extent = {std::min(extent.low, value), std::max(extent.high, value)};
  }
  return extent;
}

// The folder that all names lie in, with its slash: it need not stand in each of them.
std::string common_folder(const std::vector<std::string>& names) {
  if (names.size() < 2) return "";
  std::string_view common = names.front();
  for (const std::string& name : names)
    common =
        common.substr(0, static_cast<std::size_t>(std::ranges::mismatch(common, name).in1 - common.begin()));
  const std::size_t slash = common.rfind('/');
  return std::string(slash == common.npos ? "" : common.substr(0, slash + 1));
}

// `count` of the rows, evenly spread.
std::vector<std::size_t> evenly_of(const std::vector<std::size_t>& rows, std::size_t count) {
  std::vector<std::size_t> chosen;
  chosen.reserve(count);
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(rows[i * rows.size() / count]);
  return chosen;
}

struct Atlases {
  int side = 0, columns = 0;
  std::size_t each = 0;  // pictures of an atlas; the last may have fewer
  std::vector<std::string> uris{};
  std::size_t bytes = 0;  // of all texts
};

Atlases draw_atlases(const ImageTable& table, const std::vector<std::size_t>& rows, int side) {
  const std::size_t across = static_cast<std::size_t>(std::max(1, atlas_side / side));
  Atlases drawn{
      .side = side, .columns = static_cast<int>(std::min(across, rows.size())), .each = across * across};
  for (std::size_t first = 0; first < rows.size(); first += drawn.each) {
    std::vector<Image> pictures;
    for (std::size_t i = first; i < std::min(rows.size(), first + drawn.each); ++i)
      pictures.push_back(table.thumbnails[rows[i]]);
    drawn.uris.push_back(jpeg_uri(atlas(pictures, side, drawn.columns)));
    drawn.bytes += drawn.uris.back().size();
  }
  return drawn;
}

int picture_side(const ImageTable& table, const std::vector<std::size_t>& rows) {
  int side = 1;
  for (const std::size_t r : rows)
    side = std::max({side, table.thumbnails[r].height, table.thumbnails[r].width});
  return (std::min(side, most_picture_side) + picture_block - 1) / picture_block * picture_block;
}

// As many as fit. Their size is known only once they are drawn: a few tell how large one is, and each attempt that is too large
// is followed by one with fewer.
nlohmann::json pictures_json(const ImageTable& table, std::size_t most_bytes) {
  std::vector<std::size_t> rows;
  for (std::size_t r = 0; r < table.thumbnails.size(); ++r)
    if (!table.thumbnails[r].empty()) rows.push_back(r);
  if (rows.empty()) return nullptr;
  const int side = picture_side(table, rows);
  std::vector<std::size_t> shown = evenly_of(rows, std::min<std::size_t>(rows.size(), 256));
  Atlases drawn = draw_atlases(table, shown, side);
  const auto fitting = [&](std::size_t most) {
    const double each = static_cast<double>(drawn.bytes) / static_cast<double>(shown.size());
    return std::min(most, static_cast<std::size_t>(0.97 * static_cast<double>(most_bytes) / each));
  };
  std::size_t count = fitting(rows.size());
  if (count > shown.size() || drawn.bytes > most_bytes) do {
      if (count == 0) return nullptr;
      shown = evenly_of(rows, count);
      drawn = draw_atlases(table, shown, side);
      count = fitting(count - 1);
    } while (drawn.bytes > most_bytes);
  std::vector<std::uint32_t> picture_of(table.paths.size(), no_index);
  for (std::size_t i = 0; i < shown.size(); ++i) picture_of[shown[i]] = static_cast<std::uint32_t>(i);
  return {{"side", side},
          {"columns", drawn.columns},
          {"each", drawn.each},
          {"atlases", drawn.uris},
          {"of", packed(picture_of, bytes_for(shown.size()))}};
}

// `none`: what stands for images that have none of the names.
std::string table_rows(const std::vector<std::string>& names, const std::vector<std::int32_t>& of_rows,
                       const char* none) {
  std::vector<std::int64_t> counts(names.size());
  std::int64_t without = 0;
  for (const std::uint32_t i : group_indices(of_rows, names.size())) ++(i == no_index ? without : counts[i]);
  std::string html;
  const auto add_row = [&](const std::string& name, std::int64_t images) {
    html += fmt::format("<tr><td class=\"name\">{}</td><td class=\"number\">{}</td></tr>\n", html_text(name),
                        images);
  };
  for (std::size_t i = 0; i < names.size(); ++i) add_row(names[i], counts[i]);
  if (without > 0) add_row(none, without);
  return html;
}

}  // namespace

nlohmann::json map_json(const ImageTable& table, const MapPlaces& places, std::size_t most_picture_bytes) {
  const std::size_t rows = table.paths.size();
  check(places.xy.size() == 2 * rows, ExitCode::internal,
        "{} numbers are given as the places of {} images on a map", places.xy.size(), rows);
  check(std::ranges::all_of(places.xy, [](float v) { return std::isfinite(v); }), ExitCode::internal,
        "a place on a map is not finite");
  const Extent x = extent_of(places.xy, 0), y = extent_of(places.xy, 1);
  std::vector<std::uint32_t> steps;
  steps.reserve(2 * rows);
  for (std::size_t r = 0; r < rows; ++r) {
    steps.push_back(x.step(static_cast<double>(places.xy[2 * r])));
    steps.push_back(y.step(static_cast<double>(places.xy[2 * r + 1])));
  }
  const std::string folder = common_folder(table.paths);
  nlohmann::json names = nlohmann::json::array();
  for (const std::string& path : table.paths) names.push_back(path.substr(folder.size()));

  nlohmann::json map = {{"count", rows},          {"extent", {x.low, y.low, x.high, y.high}},
                        {"xy", packed(steps, 2)}, {"folder", folder},
                        {"names", names},         {"classes", table.classes},
                        {"labels", nullptr},      {"parts", table.parts},
                        {"part_of", nullptr},     {"pictures", pictures_json(table, most_picture_bytes)}};
  if (table.has_classes())
    map["labels"] = packed(group_indices(table.labels, table.classes.size()), bytes_for(table.classes.size()));
  if (table.parts.size() > 1 && table.parts_of.size() == rows)
    map["part_of"] = packed(group_indices(table.parts_of, table.parts.size()), bytes_for(table.parts.size()));
  return map;
}

std::string map_element(const std::string& id, const ImageTable& table) {
  std::string html = fmt::format("<section class=\"map\" id=\"{}\" aria-label=\"Map of {} images\">\n",
                                 html_text(id), table.rows());
  html +=
      "<noscript><p>A script of this page draws the map, and scripts are switched off. The images by "
      "class:</p></noscript>\n";
  html += "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Images by class\"><table>\n";
  html += fmt::format("<thead><tr><th>{}</th><th class=\"number\">images</th></tr></thead><tbody>\n",
                      table.has_classes() ? "class" : "part");
  html += table.has_classes() ? table_rows(table.classes, table.labels, "(no class)")
                              : table_rows(table.parts, table.parts_of, "(no part)");
  return html + "</tbody></table></div>\n</section>\n";
}

}  // namespace kindred
