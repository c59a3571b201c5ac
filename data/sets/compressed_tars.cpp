#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/names.h>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kindred::detail {
namespace {

struct TarCompression {
  std::string_view program, undo;  // gzip and gunzip
  std::string_view first_bytes;    // empty: a plain tar file may begin with them, because it begins with a name
  std::string_view ending, short_ending;
};

constexpr TarCompression tar_compressions[] = {{"gzip", "gunzip", "\x1F\x8B", ".tar.gz", ".tgz"},
                                               {"bzip2", "bunzip2", "", ".tar.bz2", ".tbz2"},
                                               {"xz", "unxz",
                                                "\xFD"
                                                "7zXZ",
                                                ".tar.xz", ".txz"},
                                               {"zstd", "unzstd", "\x28\xB5\x2F\xFD", ".tar.zst", ".tzst"}};

// Null if the name promises none.
const TarCompression* promised_compression(const std::string& name) {
  const std::string lower = lower_case(name);
  for (const TarCompression& compression : tar_compressions)
    if (lower.ends_with(compression.ending) || lower.ends_with(compression.short_ending)) return &compression;
  return nullptr;
}

// Null if its first bytes are of none.
const TarCompression* compression_in(const ByteReader& archive) {
  std::array<std::uint8_t, 6> bytes{};
  const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(archive.size(), bytes.size()));
  if (!archive.read(0, std::span(bytes).first(count)).empty()) return nullptr;  // who reads on finds out why
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), count);
  for (const TarCompression& compression : tar_compressions)
    if (!compression.first_bytes.empty() && text.starts_with(compression.first_bytes)) return &compression;
  return nullptr;
}

}  // namespace

std::string compressed_tars_in(const std::filesystem::path& dir) {
  const std::vector<std::string> names =
      list_files(dir, [](const std::string& name) { return promised_compression(name) != nullptr; });
  if (names.empty()) return {};
  const TarCompression& compression = *promised_compression(names.front());
  return fmt::format("{} compressed with {}, such as '{}', and shards must be plain tar files: {} {}",
                     names.size() == 1 ? "1 tar archive is" : fmt::format("{} tar archives are", names.size()),
                     compression.program, names.front(), compression.undo, names.size() == 1 ? "it" : "them");
}

std::string compression_of_tar(const ByteReader& archive) {
  const TarCompression* const compression = compression_in(archive);
  if (compression == nullptr) return {};
  return fmt::format(
      "it is compressed with {}, and shards must be plain tar files: add {} to its name, and {} it",
      compression->program, compression->ending.substr(4), compression->undo);
}

std::string undo_of_compressed_tar(const ByteReader& archive) {
  const TarCompression* const compression = compression_in(archive);
  return compression == nullptr ? std::string() : std::string(compression->undo);
}

}  // namespace kindred::detail
