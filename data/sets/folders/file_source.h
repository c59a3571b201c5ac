// Samples that are files in folders.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/name_table.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kindred::detail {

class FileSource : public SampleSource {
 public:
  explicit FileSource(const DecodeLimits& limits) : SampleSource(limits) {}

  // The samples of a folder are added one after the other.
  void add_folder(const std::filesystem::path& folder) { folders_.push_back((folder / "").string()); }
  void add_file(std::string_view name) {  // relative to the folder, or absolute
    names_.add(name);
    folder_of_.push_back(static_cast<std::uint32_t>(folders_.size() - 1));
  }

  std::string name(std::int64_t i) const override;
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override;
  std::optional<std::uint64_t> stored_bytes(std::int64_t i) const override;

 protected:
  std::string_view added_name(std::int64_t i) const { return names_[static_cast<std::size_t>(i)]; }

 private:
  void set_path(std::string& path, std::int64_t i) const;

  std::vector<std::string> folders_;      // each ends in '/'
  std::vector<std::uint32_t> folder_of_;  // [samples]
  NameTable names_;                       // [samples]
};

}  // namespace kindred::detail
