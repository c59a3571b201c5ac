#include <kindred/data/npz/npz.h>
#include <kindred/data/npz/npz_format.h>
#include <kindred/engine/error.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <zlib.h>        // defines: crc32_z, crc32_combine

#include <algorithm>

namespace kindred {
namespace {

using namespace detail;

constexpr std::uint64_t most_rows = 99'999'999'999'999'999;  // as many digits as the header reserves space for
constexpr std::uint16_t version_zip64 = 45;
constexpr std::uint16_t date_1980 = 33;  // a fixed date (the earliest): the same arrays give the same bytes
constexpr char32_t replacement = 0xFFFD;

std::uint32_t crc_of(std::uint32_t crc, const void* data, std::size_t bytes) {
  return static_cast<std::uint32_t>(crc32_z(crc, static_cast<const Bytef*>(data), bytes));
}

// Returns the next character and moves `text` past it. Each malformed byte becomes one replacement character.
char32_t next_character(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  const std::size_t length = first < 0x80       ? 1
                             : first >> 5 == 6  ? 2
                             : first >> 4 == 14 ? 3
                             : first >> 3 == 30 ? 4
                                                : 0;
  char32_t character = length == 1 ? first : first & (0x7fu >> length);
  bool good = length > 0 && text.size() >= length;
  for (std::size_t i = 1; good && i < length; ++i) {
    good = byte(i) >> 6 == 2;
    character = character << 6 | (byte(i) & 63);
  }
  constexpr char32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  good = good && character >= smallest[length] && character <= 0x10FFFF &&
         (character < 0xD800 || character > 0xDFFF);
  text.remove_prefix(good ? length : 1);
  return good ? character : replacement;
}

// Section 4.3.7. Sizes are always in the zip64 field, as numpy writes it, because the size of the array is not
// known yet.
std::string local_header(const std::string& name, std::uint64_t bytes, std::uint32_t crc) {
  Fields f;
  f.put(local_signature)
      .put(version_zip64)
      .put<std::uint16_t>(0)
      .put<std::uint16_t>(0);  // flags, method: stored
  f.put<std::uint16_t>(0).put(date_1980).put(crc).put(in_zip64).put(in_zip64);
  f.put(static_cast<std::uint16_t>(name.size())).put<std::uint16_t>(20);
  f.bytes += name;
  f.put(zip64_extra).put<std::uint16_t>(16).put(bytes).put(bytes);
  return f.bytes;
}

// Section 4.3.12.
std::string central_header(const std::string& name, std::uint64_t offset, std::uint64_t bytes,
                           std::uint32_t crc) {
  const bool large = bytes >= in_zip64 || offset >= in_zip64;
  Fields f;
  f.put(central_signature).put(version_zip64).put(version_zip64).put<std::uint16_t>(0).put<std::uint16_t>(0);
  f.put<std::uint16_t>(0).put(date_1980).put(crc);
  const auto size = large ? in_zip64 : static_cast<std::uint32_t>(bytes);
  f.put(size).put(size).put(static_cast<std::uint16_t>(name.size())).put<std::uint16_t>(large ? 28 : 0);
  f.put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint16_t>(0).put<std::uint32_t>(0);
  f.put(large ? in_zip64 : static_cast<std::uint32_t>(offset));
  f.bytes += name;
  if (large) f.put(zip64_extra).put<std::uint16_t>(24).put(bytes).put(bytes).put(offset);
  return f.bytes;
}

// Sections 4.3.14 to 4.3.16.
std::string archive_end(std::uint64_t members, std::uint64_t directory, std::uint64_t directory_bytes) {
  Fields f;
  const bool large = members >= in_zip64_short || directory >= in_zip64 || directory_bytes >= in_zip64;
  if (large) {
    f.put(end64_signature).put<std::uint64_t>(end64_bytes - 12).put(version_zip64).put(version_zip64);
    f.put<std::uint32_t>(0).put<std::uint32_t>(0).put(members).put(members).put(directory_bytes).put(directory);
    f.put(locator64_signature).put<std::uint32_t>(0).put(directory + directory_bytes).put<std::uint32_t>(1);
  }
  const auto count = large ? in_zip64_short : static_cast<std::uint16_t>(members);
  f.put(end_signature).put<std::uint16_t>(0).put<std::uint16_t>(0).put(count).put(count);
  f.put(large ? in_zip64 : static_cast<std::uint32_t>(directory_bytes));
  f.put(large ? in_zip64 : static_cast<std::uint32_t>(directory)).put<std::uint16_t>(0);
  return f.bytes;
}

}  // namespace

std::size_t text_width(std::string_view text) {
  std::size_t width = 0;
  for (; !text.empty(); ++width) next_character(text);
  return width;
}

NpzWriter::NpzWriter(const std::filesystem::path& path, FileOperations& files) : file_(path, files) {}
NpzWriter::~NpzWriter() = default;

void NpzWriter::put(const void* data, std::size_t bytes) {
  file_.write(data, bytes);
  position_ += bytes;
}

std::string NpzWriter::npy_header(std::uint64_t rows) const {
  std::string extents = whole_ ? "" : std::to_string(rows) + ",";
  for (const std::int64_t extent : shape_) extents += fmt::format(" {},", extent);
  const std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type_, extents);
  // Padded to the length for the largest number of rows, because the header is written again when the rows have
  // been counted.
  const std::size_t digits = whole_ ? 0 : std::to_string(rows).size();
  const std::size_t most = npy_prefix_bytes + text.size() - digits + std::to_string(most_rows).size() + 1;
  const std::size_t total = (most + npy_alignment - 1) / npy_alignment * npy_alignment;
  std::string header(npy_magic);
  const std::size_t length = total - npy_prefix_bytes;
  check(length <= 0xffff, ExitCode::internal, "an array of {} axes has too many axes for .npy", shape_.size());
  header += Fields().put(static_cast<std::uint16_t>(length)).bytes;
  header += text;
  header.resize(total - 1, ' ');
  return header + '\n';
}

void NpzWriter::begin_array(const std::string& name, const std::string& type, std::size_t element_bytes,
                            const std::vector<std::int64_t>& shape, bool whole) {
  end_array();
  const std::string file_name = name + ".npy";
  for (const Member& member : members_)
    check(member.name != file_name, ExitCode::internal, "two arrays to be saved are called {}", name);
  open_ = true;
  whole_ = whole;
  type_ = type;
  shape_ = shape;
  row_bytes_ = element_bytes;
  for (const std::int64_t extent : shape) row_bytes_ *= static_cast<std::uint64_t>(extent);
  data_bytes_ = 0;
  data_crc_ = 0;
  members_.push_back({file_name, position_, 0, 0});
  const std::string header = local_header(file_name, 0, 0) + npy_header(0);
  put(header.data(), header.size());
}

void NpzWriter::append_bytes(const char* type, const void* data, std::size_t bytes) {
  check(open_ && type_ == type && (row_bytes_ == 0 ? bytes == 0 : bytes % row_bytes_ == 0), ExitCode::internal,
        "{} bytes of type {} are not whole rows of an array of type {} with {} bytes a row", bytes, type, type_,
        row_bytes_);
  put(data, bytes);
  data_crc_ = crc_of(data_crc_, data, bytes);
  data_bytes_ += bytes;
}

void NpzWriter::begin_texts(const std::string& name, std::size_t widest) {
  widest_ = std::max<std::size_t>(widest, 1);
  begin_array(name, fmt::format("<U{}", widest_), 4 * widest_, {});
}

void NpzWriter::append_text(std::string_view text) {
  std::u32string row;
  while (!text.empty()) row += next_character(text);
  check(row.size() <= widest_, ExitCode::internal, "a text of {} characters in an array of {}", row.size(),
        widest_);
  row.resize(widest_);
  append_bytes(type_.c_str(), row.data(), 4 * row.size());
}

// Now the number of rows is known, so the headers are written again, in the same places.
void NpzWriter::end_array() {
  if (!open_) return;
  open_ = false;
  Member& member = members_.back();
  check(!whole_ || data_bytes_ == row_bytes_, ExitCode::internal, "{} has {} bytes, its shape needs {}",
        member.name, data_bytes_, row_bytes_);
  const std::string header = npy_header(row_bytes_ ? data_bytes_ / row_bytes_ : 0);
  member.bytes = header.size() + data_bytes_;
  member.crc = static_cast<std::uint32_t>(
      crc32_combine(crc_of(0, header.data(), header.size()), data_crc_, static_cast<z_off_t>(data_bytes_)));
  const std::string both = local_header(member.name, member.bytes, member.crc) + header;
  file_.overwrite(member.offset, both.data(), both.size());
}

void NpzWriter::commit() {
  end_array();
  const std::uint64_t directory = position_;
  for (const Member& member : members_) {
    const std::string header = central_header(member.name, member.offset, member.bytes, member.crc);
    put(header.data(), header.size());
  }
  const std::string end = archive_end(members_.size(), directory, position_ - directory);
  put(end.data(), end.size());
  file_.commit();
}

}  // namespace kindred
