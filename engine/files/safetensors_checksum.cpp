#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/engine/files/safetensors_checksum.h>
#include <kindred/engine/files/safetensors_header.h>

#include <algorithm>
#include <vector>

#include <xxhash.h>

namespace kindred {

struct SafetensorsChecksum::State {
  XXH3_state_t* hash = XXH3_createState();
  ~State() { XXH3_freeState(hash); }
};

SafetensorsChecksum::SafetensorsChecksum() : state_(std::make_unique<State>()) {
  check(state_->hash != nullptr, ExitCode::device, "out of memory for a checksum");
  XXH3_64bits_reset(state_->hash);
}
SafetensorsChecksum::~SafetensorsChecksum() = default;

void SafetensorsChecksum::add(const void* data, std::size_t bytes) {
  XXH3_64bits_update(state_->hash, data, bytes);
}

std::string SafetensorsChecksum::text() const {
  return fmt::format("{:016x}", XXH3_64bits_digest(state_->hash));
}

bool SafetensorsFile::has_checksum() const {
  return metadata_.contains(safetensors_checksum_key);
}

bool SafetensorsFile::checksum_matches() const {
  const auto written = metadata_.find(safetensors_checksum_key);
  check(written != metadata_.end(), ExitCode::file, "{} holds no checksum", path_);
  const std::string digits = written->second;
  std::string header(data_begin_ - sizeof(std::uint64_t), '\0');
  read_exactly(file_, path_, sizeof(std::uint64_t), header.data(), header.size());
  const std::string entry = fmt::format("\"{}\":\"{}\"", safetensors_checksum_key, digits);
  const auto at = header.find(entry);
  if (at == std::string::npos || digits.size() != SafetensorsChecksum::placeholder().size()) return false;
  header.replace(at + entry.size() - 1 - digits.size(), digits.size(), SafetensorsChecksum::placeholder());
  SafetensorsChecksum sum;
  sum.add(header.data(), header.size());
  std::vector<char> piece(std::size_t{1} << 20);
  for (std::uint64_t at_byte = data_begin_; at_byte < data_end_;) {
    const std::size_t bytes =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece.size(), data_end_ - at_byte));
    read_exactly(file_, path_, at_byte, piece.data(), bytes);
    sum.add(piece.data(), bytes);
    at_byte += bytes;
  }
  return sum.text() == digits;
}

}  // namespace kindred
