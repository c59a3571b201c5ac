#include <kindred/data/files/file.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/lists/columns.h>
#include <kindred/data/sets/lists/csv.h>
#include <kindred/data/sets/lists/label_rows.h>
#include <kindred/data/sets/lists/listed_files.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_list = std::size_t{256} << 20;  // bytes; a million images have about 50 MB
constexpr std::size_t longest_cell = 4096;                // bytes of a path or a label, which messages repeat

std::string read_list(const fs::path& dir, const std::string& list) {
  std::error_code ignored;
  check(fs::is_directory(dir, ignored), ExitCode::data,
        "{}: not a folder; the paths in {} are relative to a folder of images", dir.string(), list);
  const FileContent file = read_file(list, max_list);
  check(file.ok(), ExitCode::data, "{}: {}; expected a CSV file with the columns path,label", list,
        is_dead_link(list) ? dead_link_text(list) : file.reason);
  return std::string(file.bytes.begin(), file.bytes.end());
}

// A cell behind the last one of a short row is empty.
const std::string& cell_of(const CsvRow& row, std::size_t column) {
  static const std::string none;
  return column < row.cells.size() ? row.cells[column] : none;
}

// "lines 3, 8 and 9", or "line 3".
std::string named_lines(const std::vector<std::int64_t>& lines) {
  constexpr std::size_t most = 5;
  std::string text = lines.size() == 1 ? "line" : "lines";
  for (std::size_t i = 0; i < std::min(lines.size(), most); ++i)
    text += fmt::format("{}{}", i == 0 ? " " : i + 1 == lines.size() ? " and " : ", ", lines[i]);
  if (lines.size() > most) text += fmt::format(" and {} more", lines.size() - most);
  return text;
}

class RowReader {
 public:
  RowReader(const fs::path& dir, std::string list) : dir_(dir), list_(std::move(list)), files_(dir) {}

  LabelRows read(std::string_view text) {
    CsvReader table(text, list_);
    CsvRow row;
    check(table.next(row), ExitCode::data,
          "{}: there is nothing in it; expected rows of an image and its label", list_);
    columns_ = columns_of(row);
    rows_.has_splits = columns_.split.has_value();
    if (!columns_.description.empty())
      rows_.notes.push_back(fmt::format("note: {}: {}", list_, columns_.description));
    for (bool more = !columns_.has_header || table.next(row); more; more = table.next(row)) add(row);
    finish();
    return std::move(rows_);
  }

  ListColumns columns_of(const CsvRow& first) {
    return find_columns(first, list_, [&](const std::string& path) { return !files_.find(path).empty(); });
  }

 private:
  void add(const CsvRow& row) {
    ++count_;
    for (std::size_t c = columns_.count; c < row.cells.size(); ++c)
      check(row.cells[c].empty(), ExitCode::data,
            "{}: line {}: {} cells, the first row has {}; several labels in a row are not supported yet, and a "
            "separator inside a cell needs quotes around the cell",
            list_, row.line, row.cells.size(), columns_.count);
    const std::string &path = cell_of(row, columns_.path), &label = cell_of(row, columns_.label);
    check(!path.empty(), ExitCode::data, "{}: line {}: no image; expected its path", list_, row.line);
    check(path.size() <= longest_cell && label.size() <= longest_cell, ExitCode::data,
          "{}: line {}: a path or label of more than {} bytes; a quote or the end of a line may be missing",
          list_, row.line, longest_cell);
    if (label.empty()) return unlabelled_.push_back(row.line);
    check(label.find_first_of(";|") == std::string::npos, ExitCode::data,
          "{}: line {}: '{}': several labels in a row are not supported yet; keep one of them", list_, row.line,
          label);
    const SplitRole role = role_of(row);
    const std::vector<std::string> found = files_.find(path);
    if (found.empty()) {
      if (missing_++ == 0) first_missing_ = {path, label, role, row.line};
      return;
    }
    check(found.size() == 1, ExitCode::data, "{}: line {}: '{}' may be {} or {}; write the ending too", list_,
          row.line, path, found.front(), found.back());
    keep({found.front(), label, role, row.line});
  }

  SplitRole role_of(const CsvRow& row) const {
    if (!columns_.split) return SplitRole::train;
    const std::string& text = cell_of(row, *columns_.split);
    const std::optional<SplitRole> role = split_role(text);
    check(role.has_value(), ExitCode::data, "{}: line {}: split '{}': expected train, val or test", list_,
          row.line, text);
    return *role;
  }

  void keep(ListedImage image) {
    const auto [entry, is_new] = index_of_.try_emplace(files_.real_path(image.path), rows_.images.size());
    if (is_new) {
      unread_.add(image.path);
      return rows_.images.push_back(std::move(image));
    }
    const ListedImage& before = rows_.images[entry->second];
    check(
        before.label == image.label, ExitCode::data,
        "{}: line {}: '{}' is labelled '{}', and '{}' in line {}; several labels of an image are not supported "
        "yet; keep one of them",
        list_, image.line, image.path, image.label, before.label, before.line);
    check(before.role == image.role, ExitCode::data,
          "{}: line {}: '{}' is also in line {}, in another split; an image belongs to one", list_, image.line,
          image.path, before.line);
    repeated_.push_back(image.line);
  }

  void finish() {
    check(unlabelled_.empty(), ExitCode::data, "{}: no label in {}; add {} or remove the {}", list_,
          named_lines(unlabelled_), unlabelled_.size() == 1 ? "it" : "them",
          unlabelled_.size() == 1 ? "row" : "rows");
    if (missing_ > 0) fail_missing();
    check(!rows_.images.empty(), ExitCode::data, "{}: it has column names but no images", list_);
    if (!unread_.empty()) rows_.notes.push_back(unread_.warning(list_));
    if (!repeated_.empty())
      rows_.notes.push_back(fmt::format("note: {}: {} {} an image again, with the same label; it counts once",
                                        list_, named_lines(repeated_),
                                        repeated_.size() == 1 ? "names" : "name"));
  }

  [[noreturn]] void fail_missing() {
    const std::string folder = files_.folder_with(first_missing_.path);
    const std::string advice = folder.empty()
                                   ? fmt::format("paths are relative to {}", dir_.string())
                                   : fmt::format("it is in {}: give that folder", (dir_ / folder).string());
    fail(ExitCode::data, "{}: line {}: there is no image '{}' ({} of {} {} not there); {}", list_,
         first_missing_.line, first_missing_.path, missing_, count_, missing_ == 1 ? "is" : "are", advice);
  }

  const fs::path dir_;
  const std::string list_;
  ListedFiles files_;
  ListColumns columns_;
  LabelRows rows_;
  std::unordered_map<std::string, std::size_t> index_of_;  // of an image, by its real path
  std::int64_t count_ = 0, missing_ = 0;                   // rows, and those whose image is missing
  ListedImage first_missing_;
  UnreadFormats unread_;
  std::vector<std::int64_t> unlabelled_, repeated_;  // lines
};

}  // namespace

LabelRows read_label_rows(const fs::path& dir, const std::string& list) {
  const std::string text = read_list(dir, list);
  return RowReader(dir, list).read(text);
}

bool list_has_splits(const fs::path& dir, const std::string& list) {
  const std::string text = read_list(dir, list);
  CsvReader table(text, list);
  CsvRow row;
  return table.next(row) && RowReader(dir, list).columns_of(row).split.has_value();
}

}  // namespace kindred::detail
