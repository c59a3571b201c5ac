#include <kindred/apps/similarity/checksum.h>
#include <kindred/apps/similarity/open_segment.h>
#include <kindred/data/images/decode.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>

namespace kindred {
namespace {

constexpr std::size_t most_line_bytes = std::size_t{1} << 17;
constexpr std::uint64_t most_thumbnail_pixels = std::uint64_t{1} << 20;

std::string member_text(const nlohmann::json& line, const char* key, const char* otherwise) {
  const auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

// "key":"text", and a comma. Most names are plain and stand in JSON as they are; the JSON library, which writes the others, takes
// several times as long for a line as for writing the features of its image.
void append_json_member(const char* key, const std::string& text, std::string& to) {
  const bool is_plain =
      std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; });
  to.append("\"").append(key).append("\":");
  if (is_plain)
    to.append("\"").append(text).append("\"");
  else
    to.append(json_text(text));
  to += ',';
}

}  // namespace

void append_line_of(const IndexedImage& image, std::string& lines) {
  lines += '{';
  if (!image.class_name.empty()) append_json_member("class", image.class_name, lines);
  append_json_member("part", image.part, lines);
  append_json_member("path", image.path, lines);
  lines.back() = '}';
}

OpenSegment::OpenSegment(const std::filesystem::path& folder, const IndexSegment& segment, std::int64_t dim,
                         std::uint64_t most_checked)
    : folder_(folder),
      segment_(segment),
      advice_(advice_for_damaged_index(folder)),
      features_((folder / segment.features.name).string(), segment.rows, dim, advice_),
      lines_((folder / segment.rows_file.name).string(), segment.rows_file.bytes, advice_) {
  if (segment.thumbnails)
    thumbnails_.emplace((folder / segment.thumbnails->name).string(), segment.thumbnails->bytes, advice_);
  check_bytes(segment.rows_file, lines_.bytes().data(), lines_.bytes().size());
  if (segment.features.bytes <= most_checked)
    check_bytes(segment.features, features().data(), features().size_bytes());
  line_ends_.reserve(static_cast<std::size_t>(segment.rows));  // parse_index() has compared it with the file
  const std::string_view text = lines_.text();
  for (std::size_t at = 0; at < text.size() && std::ssize(line_ends_) < segment.rows;) {
    const std::size_t end = text.find('\n', at);
    if (end == text.npos) break;
    line_ends_.push_back(end);
    at = end + 1;
  }
  const bool fits = std::ssize(line_ends_) == segment.rows && line_ends_.back() + 1 == text.size();
  if (!fits) damaged(segment.rows_file, "it should have a line for each row");
}

void OpenSegment::damaged(const IndexedFile& file, const std::string& what) const {
  fail(ExitCode::file, "{}: {}; {}", (folder_ / file.name).string(), what, advice_);
}

void OpenSegment::check_bytes(const IndexedFile& file, const void* data, std::size_t bytes) const {
  if (checksum_of({static_cast<const char*>(data), bytes}) != file.xxh3)
    damaged(file, "it differs from its checksum");
}

void OpenSegment::check_all() const {
  check_bytes(segment_.rows_file, lines_.bytes().data(), lines_.bytes().size());
  check_bytes(segment_.features, features().data(), features().size_bytes());
  if (thumbnails_) check_bytes(*segment_.thumbnails, thumbnails_->bytes().data(), thumbnails_->bytes().size());
  for (std::int64_t row = 0; row < rows(); ++row) {  // whoever wrote the checksums
    image(row);
    jpeg(row);
  }
}

std::string_view OpenSegment::line(std::int64_t row) const {
  const auto at = static_cast<std::size_t>(row);
  const std::size_t begin = row == 0 ? 0 : line_ends_[at - 1] + 1;
  return lines_.text().substr(begin, line_ends_[at] - begin);
}

IndexedImage OpenSegment::image(std::int64_t row) const {
  const std::string_view text = line(row);
  const nlohmann::json read = text.size() > most_line_bytes
                                  ? nlohmann::json(nlohmann::json::value_t::discarded)
                                  : parse_hostile_json(text, {.depth = 2, .values = 64});
  if (!read.is_object() || !read.contains("path"))
    damaged(segment_.rows_file, fmt::format("line {} should be an object with a \"path\"", row + 1));
  return {member_text(read, "path", ""), member_text(read, "class", ""), member_text(read, "part", "all")};
}

std::span<const std::uint8_t> OpenSegment::jpeg(std::int64_t row) const {
  if (!thumbnails_) return {};
  const std::span<const std::uint8_t> all = thumbnails_->bytes();
  // Their sizes were compared when the segment was opened.
  const std::size_t data = all.size() - static_cast<std::size_t>(rows()) * sizeof(std::uint64_t);
  const auto end_of = [&](std::int64_t i) {
    std::uint64_t end = 0;
    if (i >= 0) std::memcpy(&end, all.data() + data + static_cast<std::size_t>(i) * sizeof end, sizeof end);
    return end;
  };
  const std::uint64_t begin = end_of(row - 1), end = end_of(row);
  if (begin > end || end > data) damaged(*segment_.thumbnails, "its pictures are out of place");
  return all.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

Image OpenSegment::picture(std::int64_t row) const {
  const std::span<const std::uint8_t> bytes = jpeg(row);
  DecodeLimits limits;
  limits.max_pixels = most_thumbnail_pixels;
  return bytes.empty() ? Image() : decode_image(bytes, limits).image;
}

}  // namespace kindred
