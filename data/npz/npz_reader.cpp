#include <kindred/data/npz/npz.h>
#include <kindred/data/npz/npz_format.h>
#include <kindred/engine/error.h>

#include <zlib.h>  // defines: crc32_z

#include <algorithm>
#include <charconv>
#include <optional>

namespace kindred {
namespace {

using namespace detail;

constexpr std::size_t most_axes = 32;            // numpy's own limit
constexpr std::uint64_t most_header = 0x10000;   // bytes of an array's header
constexpr std::uint64_t most_comment = 0xffff;   // after the end record
constexpr std::uint64_t most_members = 100'000;  // far more than any file of arrays has
constexpr const char* advice = "it is damaged, or was not written by numpy.savez";

// The dictionary at the start of an array, as numpy writes it: three known keys, and nothing that must be
// evaluated.
class DictionaryParser {
 public:
  explicit DictionaryParser(std::string_view text) : text_(text) {}

  std::optional<std::string> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;

  bool parse() {
    if (!take('{')) return false;
    while (!take('}')) {
      const auto key = quoted();
      if (!key || !take(':') || !value(*key)) return false;
      if (!take(',') && !(peek() == '}')) return false;
    }
    skip();
    return text_.empty() && type && fortran_order && shape;
  }

 private:
  void skip() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n')) text_.remove_prefix(1);
  }
  char peek() {
    skip();
    return text_.empty() ? '\0' : text_[0];
  }
  bool take(char c) {
    if (peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view word) {
    skip();
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  std::optional<std::string> quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') return {};
    const auto end = text_.find(quote, 1);
    if (end == text_.npos) return {};
    std::string content(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return content;
  }
  bool value(const std::string& key) {
    if (key == "descr" && !type) return (type = quoted()).has_value();
    if (key == "fortran_order" && !fortran_order) {
      if (take("True")) fortran_order = true;
      if (!fortran_order && take("False")) fortran_order = false;
      return fortran_order.has_value();
    }
    if (key != "shape" || shape || !take('(')) return false;
    shape.emplace();
    while (!take(')')) {
      skip();
      std::int64_t extent = -1;
      const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), extent);
      if (error != std::errc() || extent < 0 || shape->size() == most_axes) return false;
      text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
      shape->push_back(extent);
      if (!take(',') && peek() != ')') return false;
    }
    return true;
  }

  std::string_view text_;
};

// Bytes of one element; 0 for a type that is not supported.
std::uint64_t element_bytes(const std::string& type) {
  if (type == "<f4" || type == "<i4") return 4;
  if (type == "<f8" || type == "<i8") return 8;
  std::uint32_t width = 0;
  if (!type.starts_with("<U")) return 0;
  const auto [end, error] = std::from_chars(type.data() + 2, type.data() + type.size(), width);
  return error == std::errc() && end == type.data() + type.size() ? 4ull * width : 0;
}

void append_utf8(std::string& text, char32_t c) {
  const auto put = [&](char32_t byte) { text += static_cast<char>(byte); };
  // The first byte says how many follow; each of those holds six bits.
  if (c < 0x80)
    put(c);
  else if (c < 0x800)
    put(0xC0 | c >> 6);
  else if (c < 0x10000)
    put(0xE0 | c >> 12);
  else
    put(0xF0 | c >> 18);
  if (c >= 0x10000) put(0x80 | (c >> 12 & 63));
  if (c >= 0x800) put(0x80 | (c >> 6 & 63));
  if (c >= 0x80) put(0x80 | (c & 63));
}

}  // namespace

std::uint64_t NpzEntry::numel() const {
  std::uint64_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::uint64_t>(extent);
  return count;
}

NpzFile::NpzFile(const std::string& path) : name_(path) {
  auto reader = std::make_shared<FileReader>(path);
  check(reader->reason().empty(), ExitCode::file, "{} cannot be read: {}", path, reader->reason());
  reader_ = std::move(reader);
  read_directory();
}

NpzFile::NpzFile(std::shared_ptr<const ByteReader> reader, std::string name)
    : reader_(std::move(reader)), name_(std::move(name)) {
  read_directory();
}

// Reads only bytes within the file, so that a wrong size cannot cause a large allocation.
std::string NpzFile::bytes_at(std::uint64_t offset, std::uint64_t count) const {
  check(offset <= reader_->size() && count <= reader_->size() - offset, ExitCode::file,
        "{} ends before its declared content: {}", name_, advice);
  std::string bytes(static_cast<std::size_t>(count), '\0');
  const std::string reason =
      reader_->read(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  check(reason.empty(), ExitCode::file, "{} cannot be read: {}", name_, reason);
  return bytes;
}

void NpzFile::read_directory() {
  const std::uint64_t size = reader_->size();
  check(size >= end_bytes, ExitCode::file, "{} has {} bytes and is not an .npz file", name_, size);
  const std::uint64_t tail_bytes = std::min<std::uint64_t>(size, end_bytes + most_comment);
  const std::string tail = bytes_at(size - tail_bytes, tail_bytes);
  std::size_t at = tail.size() - end_bytes;
  while (field<std::uint32_t>(tail, at) != end_signature ||
         field<std::uint16_t>(tail, at + 20) != tail.size() - at - end_bytes) {
    check(at > 0, ExitCode::file, "{}: it has no end of a zip archive: {}", name_, advice);
    --at;
  }
  std::uint64_t end = size - tail_bytes + at;
  std::uint64_t members = field<std::uint16_t>(tail, at + 10),
                directory_bytes = field<std::uint32_t>(tail, at + 12),
                directory = field<std::uint32_t>(tail, at + 16);
  if (members == in_zip64_short || directory_bytes == in_zip64 || directory == in_zip64) {
    check(end >= locator64_bytes, ExitCode::file, "{}: its zip64 record is missing: {}", name_, advice);
    const std::string locator = bytes_at(end - locator64_bytes, locator64_bytes);
    check(field<std::uint32_t>(locator, 0) == locator64_signature, ExitCode::file,
          "{}: its zip64 record is missing: {}", name_, advice);
    end = field<std::uint64_t>(locator, 8);
    const std::string record = bytes_at(end, end64_bytes);
    check(field<std::uint32_t>(record, 0) == end64_signature, ExitCode::file,
          "{}: its zip64 record is missing: {}", name_, advice);
    members = field<std::uint64_t>(record, 32);
    directory_bytes = field<std::uint64_t>(record, 40);
    directory = field<std::uint64_t>(record, 48);
  }
  check(directory <= end && directory_bytes == end - directory && members <= most_members, ExitCode::file,
        "{}: its directory is not before its end record: {}", name_, advice);

  const std::string headers = bytes_at(directory, directory_bytes);
  std::uint64_t covered = 0;
  std::size_t next = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
  for (std::uint64_t i = 0; i < members; ++i) {
    check(headers.size() - next >= central_bytes && field<std::uint32_t>(headers, next) == central_signature,
          ExitCode::file, "{}: its directory is cut short: {}", name_, advice);
    const std::size_t name_bytes = field<std::uint16_t>(headers, next + 28),
                      extra_bytes = field<std::uint16_t>(headers, next + 30),
                      comment_bytes = field<std::uint16_t>(headers, next + 32);
    check(headers.size() - next - central_bytes >= name_bytes + extra_bytes + comment_bytes, ExitCode::file,
          "{}: its directory is cut short: {}", name_, advice);
    const std::string name = headers.substr(next + central_bytes, name_bytes);
    check((field<std::uint16_t>(headers, next + 8) & 1) == 0 && field<std::uint16_t>(headers, next + 10) == 0,
          ExitCode::file, "{}: its arrays are compressed; save them by numpy.savez", name_);
    std::uint64_t stored = field<std::uint32_t>(headers, next + 20),
                  bytes = field<std::uint32_t>(headers, next + 24),
                  offset = field<std::uint32_t>(headers, next + 42);
    // The zip64 field holds the values that did not fit, in this order (4.5.3).
    std::size_t extra = next + central_bytes + name_bytes;
    const std::size_t extra_end = extra + extra_bytes;
    while (extra_end - extra >= 4) {
      const std::uint16_t id = field<std::uint16_t>(headers, extra);
      const std::size_t length = field<std::uint16_t>(headers, extra + 2);
      check(extra_end - extra - 4 >= length, ExitCode::file, "{}: its directory is damaged: {}", name_, advice);
      std::size_t value = extra + 4;
      extra = value + length;
      if (id != zip64_extra) continue;
      for (std::uint64_t* wide : {&bytes, &stored, &offset}) {
        if (*wide != in_zip64) continue;
        check(extra - value >= 8, ExitCode::file, "{}: its directory is damaged: {}", name_, advice);
        *wide = field<std::uint64_t>(headers, value);
        value += 8;
      }
    }
    check(stored == bytes && name.ends_with(".npy"), ExitCode::file,
          "{}: it holds something that is not an array: {}", name_, advice);
    entries_.push_back(read_member(name, offset, bytes, field<std::uint32_t>(headers, next + 16), directory));
    ranges.emplace_back(offset, entries_.back().file_offset + bytes);
    next += central_bytes + name_bytes + extra_bytes + comment_bytes;
  }
  check(next == headers.size(), ExitCode::file, "{}: its directory is longer than its declared entries: {}",
        name_, advice);
  std::sort(ranges.begin(), ranges.end());
  for (const auto& [begin, range_end] : ranges) {
    check(begin >= covered, ExitCode::file, "{}: two of its arrays overlap: {}", name_, advice);
    covered = range_end;
  }
  std::vector<std::string_view> names;
  for (const NpzEntry& entry : entries_) names.push_back(entry.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  check(twice == names.end(), ExitCode::file, "{}: it has an array twice: {}", name_, advice);
}

NpzEntry NpzFile::read_member(std::string name, std::uint64_t local_offset, std::uint64_t bytes,
                              std::uint32_t crc, std::uint64_t end_of_data) const {
  const std::string local = bytes_at(local_offset, local_bytes);
  check(field<std::uint32_t>(local, 0) == local_signature && field<std::uint16_t>(local, 8) == 0 &&
            field<std::uint16_t>(local, 26) == name.size(),
        ExitCode::file, "{}: its directory and its arrays disagree: {}", name_, advice);
  const std::uint64_t after = std::uint64_t{field<std::uint16_t>(local, 26)} + field<std::uint16_t>(local, 28);
  check(bytes_at(local_offset + local_bytes, name.size()) == name, ExitCode::file,
        "{}: its directory and its arrays disagree: {}", name_, advice);
  NpzEntry entry;
  entry.name = name.substr(0, name.size() - 4);
  entry.crc = crc;
  entry.file_offset = local_offset + local_bytes + after;
  check(entry.file_offset <= end_of_data && bytes <= end_of_data - entry.file_offset && bytes >= 12,
        ExitCode::file, "{}: an array does not fit before the directory: {}", name_, advice);

  const std::string prefix = bytes_at(entry.file_offset, 12);
  const bool short_length = static_cast<unsigned char>(prefix[6]) == 1;
  check(prefix.starts_with(npy_magic.substr(0, 6)) && prefix[6] >= 1 && prefix[6] <= 3, ExitCode::file,
        "{}: a member is not a .npy array: {}", name_, advice);
  const std::uint64_t length = short_length ? field<std::uint16_t>(prefix, 8) : field<std::uint32_t>(prefix, 8);
  const std::uint64_t before = short_length ? 10 : 12;
  check(length <= most_header && before + length <= bytes, ExitCode::file,
        "{}: the header of an array is truncated: {}", name_, advice);
  const std::string text = bytes_at(entry.file_offset + before, length);
  DictionaryParser parser(text);
  check(parser.parse(), ExitCode::file, "{}: the header of an array is not what numpy writes: {}", name_,
        advice);
  check(!*parser.fortran_order || parser.shape->size() <= 1, ExitCode::file,
        "{}: an array is stored column by column; save it by numpy.ascontiguousarray", name_);
  entry.type = *parser.type;
  entry.shape = *parser.shape;
  entry.offset = entry.file_offset + before + length;
  entry.bytes = bytes - before - length;
  std::uint64_t needed = element_bytes(entry.type);
  check(needed > 0, ExitCode::file, "{}: an array has elements of another type than f4, f8, i4, i8 or texts",
        name_);
  for (const std::int64_t extent : entry.shape)
    check(!__builtin_mul_overflow(needed, static_cast<std::uint64_t>(extent), &needed), ExitCode::file,
          "{}: the shape of an array is impossibly large: {}", name_, advice);
  check(needed == entry.bytes, ExitCode::file, "{}: an array has {} bytes, its shape needs {}: {}", name_,
        entry.bytes, needed, advice);
  return entry;
}

const NpzEntry& NpzFile::at(std::string_view name) const {
  for (const NpzEntry& entry : entries_)
    if (entry.name == name) return entry;
  fail(ExitCode::file, "{}: it has no array called {}", name_, name);
}

void NpzFile::read_elements(const NpzEntry& entry, const char* type, void* target) const {
  check(entry.type == type, ExitCode::file, "{}: {} has elements of type {}, expected {}", name_, entry.name,
        entry.type, type);
  const std::string header = bytes_at(entry.file_offset, entry.offset - entry.file_offset);
  auto* bytes = static_cast<std::uint8_t*>(target);
  const std::string reason = reader_->read(entry.offset, {bytes, static_cast<std::size_t>(entry.bytes)});
  check(reason.empty(), ExitCode::file, "{} cannot be read: {}", name_, reason);
  auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
  if (entry.bytes > 0) crc = crc32_z(crc, bytes, static_cast<std::size_t>(entry.bytes));
  check(crc == entry.crc, ExitCode::file, "{}: {} differs from its checksum: the file is damaged", name_,
        entry.name);
}

template <typename T>
std::vector<T> NpzFile::read(const NpzEntry& entry) const {
  check(entry.type == npy_type<T>, ExitCode::file, "{}: {} has elements of type {}, expected {}", name_,
        entry.name, entry.type, npy_type<T>);
  std::vector<T> values(static_cast<std::size_t>(entry.bytes / sizeof(T)));
  read_elements(entry, npy_type<T>, values.data());
  return values;
}
template std::vector<float> NpzFile::read(const NpzEntry&) const;
template std::vector<double> NpzFile::read(const NpzEntry&) const;
template std::vector<std::int32_t> NpzFile::read(const NpzEntry&) const;
template std::vector<std::int64_t> NpzFile::read(const NpzEntry&) const;

std::vector<std::string> NpzFile::read_texts(const NpzEntry& entry) const {
  check(entry.type.starts_with("<U"), ExitCode::file, "{}: {} has elements of type {}, expected texts", name_,
        entry.name, entry.type);
  std::vector<char32_t> characters(static_cast<std::size_t>(entry.bytes / 4));
  read_elements(entry, entry.type.c_str(), characters.data());
  const auto width = static_cast<std::size_t>(element_bytes(entry.type) / 4);
  std::vector<std::string> texts;
  for (std::size_t row = 0; row < characters.size(); row += width) {
    std::string& text = texts.emplace_back();
    for (std::size_t i = row; i < row + width && characters[i] != 0; ++i) {
      check(characters[i] <= 0x10FFFF, ExitCode::file, "{}: {} holds a value that is not a character", name_,
            entry.name);
      append_utf8(text, characters[i]);
    }
  }
  return texts;
}

}  // namespace kindred
