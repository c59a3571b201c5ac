// The folder of a run that TensorBoard reads: figures of each epoch by the names of metrics.jsonl.
#pragma once

#include <kindred/apps/metrics/picture_file.h>

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kindred {

inline constexpr const char* event_folder_name = "tensorboard";

// The names of our files, in the order of their numbers, and whether a name is one of them.
std::string event_file_name(std::int64_t number);
bool is_event_file_name(const std::string& name);
// The same for all files that we put into the folder: those of events, and the projector's (projector_files.h).
bool is_name_in_event_folder(const std::string& name);

// False in a build without protobuf, which writes no events.
bool writes_events();

// One file of events for the epochs whose lines metrics.jsonl has. The step of an event is its epoch. Every number of a line is
// a scalar by its name of visit_metrics(), as "features/alignment"; what counts values ("features/positives_histogram") is a
// histogram. What is null was not measured and has no event.
//
// Before the epochs, at step 0, stands a picture, if its file is there and is a sheet of views (picture_file.h), whose text becomes
// its description. Its name is that of the file, without the ending. A run that goes on may draw it anew after the first call of
// write(): the file of events is written anew then, at the next call.
class EventFolder {
 public:
  explicit EventFolder(std::filesystem::path folder, std::filesystem::path picture = {})
      : folder_(std::move(folder)), picture_(std::move(picture)) {}

  // Appends the last line's event if this process has written all others, and otherwise writes a file with all and removes
  // those of earlier processes: after a crash one may be cut off, or have come further than the run. Throws Error(io).
  void write(const std::vector<nlohmann::json>& lines);

 private:
  void write_all(const std::vector<nlohmann::json>& lines, const std::optional<PictureFile>& picture);

  const std::filesystem::path folder_, picture_;
  std::filesystem::path file_{};  // of this process; empty: it has written none
  std::size_t written_ = 0;       // lines whose events are in the file
  std::string shown_{};           // the picture in the file; empty: none
};

// ---- for tests

// A record as TensorFlow frames it: the length as 8 bytes and their checksum, the data and theirs. Checksums are CRC-32C,
// rotated by 15 bits with a constant added.
std::string framed(std::string_view data);
std::uint32_t crc32c(std::string_view data);

}  // namespace kindred
