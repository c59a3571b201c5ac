// safetensors headers, and the names in them: entries that cover the data without holes, or an error.
#include "fuzz_target.h"

#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors_header.h>
#include <kindred/models/weight_names.h>

#include <algorithm>
#include <cstring>

using namespace kindred;

namespace {

constexpr std::size_t length_bytes = 8;

// Like SafetensorsFile, but without a file. The checks of the length come first.
void run(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < length_bytes) return;
  std::uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), length_bytes);
  header_bytes = std::min<std::uint64_t>(header_bytes, bytes.size() - length_bytes);
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + length_bytes, header_bytes);
  const std::uint64_t data_bytes = bytes.size() - length_bytes - header_bytes;
  try {
    const SafetensorsHeader header = parse_safetensors_header("fuzz.safetensors", json, data_bytes);
    std::uint64_t covered = 0;
    for (const SafetensorsEntry& entry : header.entries) {
      KINDRED_FUZZ_CHECK(entry.begin == covered && entry.end >= entry.begin && entry.end <= data_bytes);
      KINDRED_FUZZ_CHECK(entry.numel() >= 0);
      covered = entry.end;
      const std::string name = own_name(entry.name);
      KINDRED_FUZZ_CHECK(name.size() <=
                         entry.name.size() + entry.name.size() / 2 + 2);  // shortcut -> downsample
      printable(name);
    }
    KINDRED_FUZZ_CHECK(covered == data_bytes);
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
  }
}

fuzz::Bytes file_of(const std::string& json, std::size_t data_bytes) {
  fuzz::Bytes file(length_bytes + json.size() + data_bytes, 7);
  const std::uint64_t header_bytes = json.size();
  std::memcpy(file.data(), &header_bytes, length_bytes);
  std::copy(json.begin(), json.end(), file.begin() + length_bytes);
  return file;
}

std::vector<fuzz::Bytes> seeds() {
  return {
      file_of("{}", 0),
      file_of(
          R"({"__metadata__":{"format":"pt"},"conv1.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
          R"("bn1.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[8,16]}})",
          16),
      file_of(
          R"({"encoder.module.layer2.0.shortcut.0.weight":{"dtype":"F16","shape":[3],"data_offsets":[0,6]}})",
          6)};
}

}  // namespace

KINDRED_FUZZ_TARGET(safetensors, run, seeds)
