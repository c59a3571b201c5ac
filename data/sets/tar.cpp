#include <kindred/data/sets/tar.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

namespace kindred {
namespace {

constexpr std::uint64_t block = 512;
constexpr std::uint64_t max_extension = 1 << 20;  // a name is never longer
constexpr std::uint64_t max_trailer = 1 << 20;    // how many zeros after the end mark are checked

using Block = std::array<std::uint8_t, block>;

struct Field {
  std::size_t offset, bytes;
};
constexpr Field name_field{0, 100}, size_field{124, 12}, checksum_field{148, 8}, prefix_field{345, 155};
constexpr std::size_t type_offset = 156, magic_offset = 257;

// The text up to the first zero byte.
std::string text_of(const Block& header, Field field) {
  const auto* text = reinterpret_cast<const char*>(header.data()) + field.offset;
  return std::string(text, ::strnlen(text, field.bytes));
}

// Octal digits between spaces and zero bytes or, if the top bit is set, a big-endian number (GNU).
std::optional<std::uint64_t> number_of(const Block& header, Field field) {
  const std::uint8_t* bytes = header.data() + field.offset;
  std::uint64_t value = 0;
  if (bytes[0] & 0x80) {
    if (bytes[0] != 0x80) return std::nullopt;  // negative or at least 2^88
    for (std::size_t i = 1; i < field.bytes; ++i) {
      if (value >> 55) return std::nullopt;
      value = value << 8 | bytes[i];
    }
    return value;
  }
  std::size_t i = 0;
  while (i < field.bytes && bytes[i] == ' ') ++i;
  const std::size_t first = i;
  for (; i < field.bytes && bytes[i] >= '0' && bytes[i] <= '7'; ++i)
    value = value << 3 | std::uint64_t(bytes[i] - '0');
  if (i == first) return std::nullopt;
  for (; i < field.bytes; ++i)
    if (bytes[i] != 0 && bytes[i] != ' ') return std::nullopt;
  return value;
}

// Compares with the sum of the header's bytes, in which the checksum counts as spaces. Some old programs summed
// signed bytes.
bool checksum_is_right(const Block& header) {
  const auto stored = number_of(header, checksum_field);
  std::int64_t sum = 0, signed_sum = 0;
  for (std::size_t i = 0; i < block; ++i) {
    const bool own = i >= checksum_field.offset && i < checksum_field.offset + checksum_field.bytes;
    const std::uint8_t byte = own ? ' ' : header[i];
    sum += byte;
    signed_sum += static_cast<std::int8_t>(byte);
  }
  return stored &&
         (static_cast<std::int64_t>(*stored) == sum || static_cast<std::int64_t>(*stored) == signed_sum);
}

bool is_zero(const Block& header) {
  return std::all_of(header.begin(), header.end(), [](std::uint8_t byte) { return byte == 0; });
}

std::string full_name(const Block& header) {
  const std::string name = text_of(header, name_field);
  const bool posix = std::memcmp(header.data() + magic_offset, "ustar", 6) == 0;  // GNU's has a space there
  const std::string prefix = posix ? text_of(header, prefix_field) : "";
  return prefix.empty() ? name : prefix + "/" + name;
}

TarKind kind_of(char type) {
  switch (type) {
    case '\0':
    case '0':
    case '7':
      return TarKind::file;
    case '1':
    case '2':
      return TarKind::link;
    case '5':
      return TarKind::folder;
    default:
      return TarKind::other;
  }
}

std::uint64_t padded_to_blocks(std::uint64_t bytes) {
  return (bytes + block - 1) / block * block;
}

}  // namespace

void TarReader::damaged(std::uint64_t at, const std::string& what) const {
  fail(ExitCode::data,
       "{}: byte {}: {}; the archive is damaged or is not a plain tar file: fetch or pack it again", path_, at,
       what);
}

// Reads the data of the extension header at at_.
std::string TarReader::read_text(std::uint64_t bytes) const {
  if (bytes > max_extension) damaged(at_, fmt::format("an extended header of {} bytes", bytes));
  std::vector<std::uint8_t> buffer(static_cast<std::size_t>(bytes));
  if (const std::string reason = archive_.read(at_ + block, buffer); !reason.empty()) damaged(at_, reason);
  return std::string(buffer.begin(), buffer.end());
}

// Records "<length> <key>=<value>\n", where the length counts the whole record.
void TarReader::read_pax(const std::string& records, Extension& extension) const {
  std::string_view rest = records;
  while (!rest.empty() && rest.front() != '\0') {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
    const auto digits = static_cast<std::size_t>(end - rest.data());
    if (error != std::errc{} || length > rest.size() || length < digits + 3 || rest[digits] != ' ' ||
        rest[length - 1] != '\n')
      damaged(at_, "a pax header that cannot be understood");
    const std::string_view record = rest.substr(digits + 1, length - digits - 2);
    rest.remove_prefix(length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) damaged(at_, "a pax record without a value");
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") extension.name = value;
    if (key.starts_with("GNU.sparse.")) damaged(at_, "a sparse file, which is not supported");
    if (key != "size") continue;
    const auto parsed = std::from_chars(value.data(), value.data() + value.size(), extension.size);
    if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
      damaged(at_, "a pax size that is not a number");
    extension.has_size = true;
  }
}

// After the first zero block only more zeros may follow.
void TarReader::check_end() const {
  const std::uint64_t end = std::min(archive_.size(), at_ + max_trailer);
  Block header;
  for (std::uint64_t at = at_; at + block <= end; at += block) {
    if (const std::string reason = archive_.read(at, header); !reason.empty()) damaged(at, reason);
    if (!is_zero(header))
      damaged(at, "data after the end mark (archives joined by cat? use tar --concatenate)");
  }
}

bool TarReader::next(TarMember& member) {
  Extension extension;
  for (Block header;;) {
    const std::uint64_t size = archive_.size();
    if (at_ >= size || size - at_ < block)
      damaged(at_, "the end mark is missing, so the archive was cut off here");
    if (const std::string reason = archive_.read(at_, header); !reason.empty()) damaged(at_, reason);
    if (is_zero(header)) {
      check_end();
      return false;
    }
    if (!checksum_is_right(header)) damaged(at_, "a header with a wrong checksum");
    auto bytes = number_of(header, size_field);
    const char type = static_cast<char>(header[type_offset]);
    const bool extends = type == 'L' || type == 'K' || type == 'x' || type == 'X' || type == 'g';
    member.kind = kind_of(type);
    if (!extends && extension.has_size) bytes = extension.size;
    if (member.kind == TarKind::link || member.kind == TarKind::folder)
      bytes = 0;  // some programs write the size of the link's target
    if (!bytes) damaged(at_, "a size that is not a number");
    if (*bytes > size - at_ - block)
      damaged(at_, fmt::format("'{}' should have {} bytes, more than are left",
                               extension.name.empty() ? full_name(header) : extension.name, *bytes));
    if (type == 'S') damaged(at_, "a sparse file, which is not supported");
    if (type == 'L') {
      const std::string text = read_text(*bytes);
      extension.name = text.substr(0, text.find('\0'));
    }
    if (type == 'x' || type == 'X') read_pax(read_text(*bytes), extension);
    member.offset = at_ + block;
    member.bytes = *bytes;
    const std::uint64_t next = member.offset + padded_to_blocks(*bytes);
    at_ = std::min(next, size);  // the last member's padding may be missing; then the end mark is missing too
    if (extends) continue;
    member.name = extension.name.empty() ? full_name(header) : std::move(extension.name);
    return true;
  }
}

}  // namespace kindred
