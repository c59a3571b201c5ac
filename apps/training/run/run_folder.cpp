#include <kindred/apps/training/run/run_folder.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/system_message.h>

#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

namespace kindred {

namespace fs = std::filesystem;

constexpr std::size_t largest_json = std::size_t{1} << 20;  // bytes; a config.json has a few thousand

std::vector<std::string> names_in(const fs::path& folder, bool (*wanted)(const std::string&)) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error); !error && entry != fs::directory_iterator();
       entry.increment(error))
    if (std::string name = entry->path().filename().string(); wanted(name)) names.push_back(std::move(name));
  return names;
}

void write_json(const fs::path& path, const nlohmann::json& value, FileOperations& files) {
  write_file_atomically(path, json_text(value, 2) + "\n", files);
}

nlohmann::json read_json(const fs::path& path) {
  std::ifstream file(path);
  check(file.is_open(), ExitCode::file, "{} cannot be opened: {}", path.string(), system_message());
  std::string text(largest_json + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  check(text.size() <= largest_json, ExitCode::file, "{} is larger than any file of a run's settings",
        path.string());
  nlohmann::json value = parse_hostile_json(text);
  check(!value.is_discarded(), ExitCode::file, "{} is not valid JSON", path.string());
  return value;
}

namespace {

std::string text_of_lines(const std::vector<nlohmann::json>& values) {
  std::string text;
  for (const nlohmann::json& value : values) text += json_text(value) + "\n";
  return text;
}

}  // namespace

void write_json_lines(const fs::path& path, const std::vector<nlohmann::json>& values) {
  write_file_atomically(path, text_of_lines(values), system_files_without_links());
}

bool has_json_lines(const fs::path& path, const std::vector<nlohmann::json>& values) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return false;
  std::string bytes;
  std::getline(file, bytes, '\0');  // what cannot be read is not equal
  return file.eof() && bytes == text_of_lines(values);
}

std::vector<std::string> read_lines(const fs::path& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

void append_json_line(const fs::path& path, const nlohmann::json& value) {
  std::ofstream file(path, std::ios::app);
  file << json_text(value) << '\n' << std::flush;
  check(file.good(), ExitCode::io,
        "{} cannot be written: {}; free some space or check the folder's permissions", path.string(),
        system_message());
}

void put_file_for_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return;
  std::ifstream target;
  if (fs::is_regular_file(path, error)) target.open(path, std::ios::binary);  // to open a pipe would wait
  if (target.is_open()) {
    const std::string bytes((std::istreambuf_iterator<char>(target)), std::istreambuf_iterator<char>());
    write_file_atomically(path, bytes, system_files_without_links());
    return;
  }
  fs::remove(path, error);
  check(!error, ExitCode::io, "{} cannot be removed: {}; make its folder writable", path.string(),
        error.message());
}

}  // namespace kindred
