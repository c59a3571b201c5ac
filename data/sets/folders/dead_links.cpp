#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/image_names.h>

#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_letter_or_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

bool is_dead_link(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(fs::symlink_status(path, error))) return false;
  const fs::file_type led_to = fs::status(path, error).type();
  return led_to == fs::file_type::none || led_to == fs::file_type::not_found;
}

bool is_circular_link(const fs::path& path) {
  std::error_code error;
  return !fs::exists(path, error) && error == std::errc::too_many_symbolic_link_levels && is_dead_link(path);
}

std::string dead_link_text(const fs::path& link) {
  std::error_code error, ignored;
  const bool is_missing = fs::status(link, error).type() == fs::file_type::not_found;
  const std::string target = fs::read_symlink(link, ignored).string();
  return fmt::format("a link to {}, which {}", target,
                     is_missing               ? "is not there"
                     : is_circular_link(link) ? "leads in a circle"
                                              : "cannot be followed: " + error.message());
}

bool is_no_folder(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  return fs::exists(status) ? !fs::is_directory(status) : is_dead_link(path);
}

std::string no_folder_text(const fs::path& path) {
  if (is_dead_link(path)) return dead_link_text(path);
  std::error_code ignored;
  const fs::file_type type = fs::status(path, ignored).type();
  return type == fs::file_type::regular ? "a file, not a folder"
         : type == fs::file_type::fifo  ? "a pipe, not a folder"
                                        : "no folder";
}

std::string no_folder_advice(const fs::path& path) {
  if (is_dead_link(path) && !is_circular_link(path))
    return "bring that folder back (is its disk mounted?), or remove the link";
  return "put the folder in its place, or move it away";
}

std::vector<std::string> dead_links_in(const fs::path& dir) {
  std::vector<std::string> names = detail::list_links(dir);
  std::erase_if(names, [&](const std::string& name) {
    return !promised_format(name).empty() || !is_dead_link(dir / name);
  });
  return names;
}

bool is_like_file_name(const std::string& name) {
  constexpr std::size_t longest_ending = 4;
  const std::size_t dot = name.rfind('.');
  if (dot == std::string::npos || dot == 0) return false;
  const std::string_view stem = std::string_view(name).substr(0, dot),
                         ending = std::string_view(name).substr(dot + 1);
  return !ending.empty() && ending.size() <= longest_ending &&
         std::all_of(ending.begin(), ending.end(), is_letter_or_digit) &&
         !std::all_of(ending.begin(), ending.end(), is_digit) &&
         !std::all_of(stem.begin(), stem.end(), is_digit);
}

}  // namespace kindred
