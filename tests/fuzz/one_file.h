// A file for a parser that needs a path: one for each process, rewritten for every input, in a memory file
// system if there is one.
#pragma once

#include "fuzz_target.h"

#include <unistd.h>  // defines: getpid

#include <filesystem>
#include <fstream>
#include <iterator>

namespace kindred::fuzz {

class OneFile {
 public:
  explicit OneFile(const std::string& name) {
    const std::filesystem::path memory = "/dev/shm";
    std::error_code error;
    folder_ = (std::filesystem::is_directory(memory, error) ? memory : std::filesystem::temp_directory_path()) /
              (name + "_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~OneFile() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  OneFile(const OneFile&) = delete;
  OneFile& operator=(const OneFile&) = delete;

  // `name` is the file's name, for parsers that look into the folder.
  std::filesystem::path path(const std::string& name = "input") const { return folder_ / name; }
  const std::filesystem::path& folder() const { return folder_; }

  void write(std::span<const std::uint8_t> bytes, const std::string& name = "input") const {
    std::ofstream file(path(name), std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    KINDRED_FUZZ_CHECK(file.good());
  }
  Bytes read() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace kindred::fuzz
