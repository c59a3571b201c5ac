#include <kindred/apps/console/progress.h>
#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/training/run/takeover/drawn_files.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_of_head = 4096;  // bytes
constexpr std::string_view generator_of_page = "<meta name=\"generator\" content=\"Kindred\">";

fs::file_type type_at(const fs::path& path) {
  std::error_code ignored;
  return fs::symlink_status(path, ignored).type();
}

// The first bytes of a file.
std::string head_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string head(most_of_head, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return head;
}

}  // namespace

bool is_drawn_name(const std::string& name) {
  return name == views_sheet_name || name == report_page_name;
}

bool is_page_of_ours(const fs::path& file) {
  // To open a pipe would wait.
  return type_at(file) == fs::file_type::regular && head_of(file).find(generator_of_page) != std::string::npos;
}

bool is_drawn_by_others(const fs::path& file) {
  if (!is_drawn_name(file.filename().string())) return false;
  const fs::file_type type = type_at(file);
  if (type == fs::file_type::not_found || type == fs::file_type::symlink) return false;
  return file.filename() == views_sheet_name ? !read_views_sheet(file) : !is_page_of_ours(file);
}

std::string warning_of_others(const fs::path& file) {
  if (!is_drawn_by_others(file)) return {};
  return one_line(
      fmt::format("warning: {} was not drawn by a run, so it stays, and this run draws none; move it to "
                  "another place to get one",
                  file.string()));
}

}  // namespace kindred
