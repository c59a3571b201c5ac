#include <kindred/engine/error.h>
#include <kindred/engine/files/make_folders.h>

#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// The part of the path that is there and no folder, or an empty path.
fs::path part_that_is_no_folder(const fs::path& folder) {
  fs::path part;
  for (const fs::path& name : folder) {
    part /= name;
    std::error_code ignored;
    const fs::file_status status = fs::status(part, ignored);
    if (fs::exists(status) && !fs::is_directory(status)) return part;
  }
  return {};
}

std::string what_to_do_about_folder(const fs::path& folder, const std::error_code& error) {
  if (error == std::errc::no_space_on_device) return "the disk is full: free some space";
  const fs::path part = part_that_is_no_folder(folder);
  if (!part.empty()) return part.string() + " is not a folder: choose another folder";
  return "choose a folder that can be written";
}

}  // namespace

void make_folders(const std::string& what, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(!error, ExitCode::io, "{}: the folder cannot be made: {}; {}", what, error.message(),
        what_to_do_about_folder(folder, error));
}

}  // namespace kindred
