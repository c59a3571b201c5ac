#include <kindred/apps/similarity/words/asked_images.h>
#include <kindred/data/files/file.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/lists/list_text.h>
#include <kindred/engine/error.h>
#include <kindred/engine/trimmed.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// What is said of a line takes more memory than the line.
constexpr std::size_t most_bytes_of_asked_list = std::size_t{1} << 24;

bool is_file_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

// Names may begin or end with spaces and quotes, so the line itself comes first. Then it is read without the spaces and the pair
// of quotes that tables and shells put around a path.
AskedImage image_in_line(const std::string& list, std::int64_t number, std::string_view line) {
  const fs::path folder = fs::path(list).parent_path();
  if (line.size() <= detail::longest_path && line.find('\0') == line.npos) {
    if (const fs::path whole = folder / fs::path(line); is_file_there(whole)) return {whole.string(), ""};
    std::string_view bare = trimmed(line);
    const bool is_quoted =
        bare.size() >= 2 && (bare.front() == '"' || bare.front() == '\'') && bare.back() == bare.front();
    if (is_quoted) bare = bare.substr(1, bare.size() - 2);
    if (const fs::path path = folder / fs::path(bare); is_file_there(path)) return {path.string(), ""};
  }
  return {
      std::string(line.substr(0, detail::longest_path)),
      fmt::format("it is in line {} of {}, and is not a file; expected the path of an image, relative to the "
                  "folder of the list",
                  number, list)};
}

std::vector<AskedImage> images_in_list(const std::string& list) {
  const FileContent content = read_file(list, most_bytes_of_asked_list);
  if (!content.ok()) return {{list, content.reason}};
  std::string_view rest(reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size());
  if (rest.starts_with(detail::byte_order_mark)) rest.remove_prefix(detail::byte_order_mark.size());
  std::vector<AskedImage> images;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!trimmed(line).empty()) images.push_back(image_in_line(list, number, line));
  }
  if (images.empty()) images.push_back({list, "no line has the path of an image"});
  return images;
}

std::vector<AskedImage> images_in_folder(const std::string& folder) {
  std::vector<AskedImage> images;
  try {
    for (std::string& path : image_files_below(folder, true)) images.push_back({std::move(path), ""});
  } catch (const Error& error) {
    if (error.code() != ExitCode::data) throw;
    return {{folder, error.what()}};
  }
  if (images.empty()) images.push_back({folder, "no images in it, at any depth"});
  return images;
}

}  // namespace

std::vector<AskedImage> asked_images(const std::vector<std::string>& given) {
  std::vector<AskedImage> images;
  std::error_code ignored;
  for (const std::string& each : given) {
    check(!each.empty(), ExitCode::usage,
          "IMAGE is empty; give the name of an image, of a folder of images, or of a list (.txt)");
    std::vector<AskedImage> some;
    if (fs::is_directory(each, ignored))
      some = images_in_folder(each);
    else if (each.ends_with(".txt"))
      some = images_in_list(each);
    else
      some.push_back({each, ""});
    images.insert(images.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
  }
  return images;
}

}  // namespace kindred
