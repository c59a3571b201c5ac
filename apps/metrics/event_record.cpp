#include <kindred/apps/metrics/event_folder.h>
#include <kindred/apps/metrics/projector_files.h>

#include <fmt/core.h>

#include <array>

namespace kindred {
namespace {

constexpr std::string_view event_file_begins = "events.out.tfevents.", event_file_ends = ".kindred";
constexpr std::uint32_t polynomial = 0x82f63b78;  // Castagnoli's, with its bits reversed

constexpr std::array<std::uint32_t, 256> remainders = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = rest >> 1 ^ ((rest & 1) != 0 ? polynomial : 0);
    table[byte] = rest;
  }
  return table;
}();

template <typename Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (std::size_t i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

std::string masked_checksum(std::string_view data) {
  const std::uint32_t checksum = crc32c(data);
  return little_endian<std::uint32_t>((checksum >> 15 | checksum << 17) + 0xa282ead8);
}

}  // namespace

std::string event_file_name(std::int64_t number) {
  return fmt::format("{}{:010}{}", event_file_begins, number, event_file_ends);
}

bool is_event_file_name(const std::string& name) {
  return name.starts_with(event_file_begins) && name.ends_with(event_file_ends);
}

bool is_name_in_event_folder(const std::string& name) {
  return is_event_file_name(name) || is_projector_file_name(name);
}

std::uint32_t crc32c(std::string_view data) {
  std::uint32_t rest = ~std::uint32_t{0};
  for (const char c : data) rest = rest >> 8 ^ remainders[(rest ^ static_cast<unsigned char>(c)) & 0xff];
  return ~rest;
}

std::string framed(std::string_view data) {
  const std::string length = little_endian<std::uint64_t>(data.size());
  return length + masked_checksum(length) + std::string(data) + masked_checksum(data);
}

}  // namespace kindred
