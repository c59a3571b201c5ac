#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/lists/columns.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <iterator>
#include <string_view>

namespace kindred::detail {
namespace {

// If several columns have such names, the first in this order holds the paths.
constexpr std::string_view path_names[] = {"path",       "filepath", "file_path", "image_path",
                                           "file",       "filename", "file_name", "image",
                                           "image_name", "image_id", "id",        "img"};
constexpr std::string_view label_names[] = {"label", "labels", "class", "class_name", "target", "category"};
constexpr std::string_view split_column_names[] = {"split", "set", "subset"};

constexpr const char* several_labels = "several labels in a row are not supported yet";

// The place of a name in a table; behind the last one if it is not there.
template <std::size_t size>
std::size_t place_in(const std::string_view (&table)[size], std::string_view name) {
  return static_cast<std::size_t>(std::find(std::begin(table), std::end(table), name) - std::begin(table));
}

template <std::size_t size>
bool is_in(const std::string_view (&table)[size], std::string_view name) {
  return place_in(table, name) < size;
}

// "label", and also "Label_2".
bool names_labels(const std::string& cell) {
  std::string name = lower_case(cell);
  while (!name.empty() && std::string_view("0123456789_- ").find(name.back()) != std::string_view::npos)
    name.pop_back();
  return is_in(label_names, name);
}

bool names_paths(const std::string& cell) {
  return is_in(path_names, lower_case(cell));
}

bool names_splits(const std::string& cell) {
  return is_in(split_column_names, lower_case(cell));
}

// The first row without the empty cells at its end, which spreadsheets write.
std::vector<std::string> cells_of(const CsvRow& first) {
  std::vector<std::string> cells = first.cells;
  while (cells.size() > 1 && cells.back().empty()) cells.pop_back();
  return cells;
}

// A row of MXNet's lists (.lst): a number, a label, which is a number too, and a path.
bool is_row_of_mxnet(const std::vector<std::string>& cells) {
  return cells.size() == 3 && !promised_format(cells[2]).empty() &&
         std::all_of(cells.begin(), cells.begin() + 2, [](const std::string& cell) {
           return !cell.empty() && cell.find_first_not_of("0123456789.") == std::string::npos;
         });
}

ListColumns columns_without_header(const std::vector<std::string>& cells, const CsvRow& first,
                                   const std::string& list) {
  ListColumns columns;
  columns.count = cells.size();
  if (cells.size() == 3 && split_role(cells[2])) columns.split = 2;
  check(cells.size() == 2 || columns.split.has_value(), ExitCode::data,
        "{}: line {}: {} cells, expected the path of an image, its label and, if there is a third one, train, "
        "val "
        "or test; {}; if only one of the columns is the label, name the columns in the first row",
        list, first.line, cells.size(), several_labels);
  return columns;
}

std::size_t path_column(const std::vector<std::string>& names) {
  const auto rank = [](const std::string& name) { return place_in(path_names, lower_case(name)); };
  const auto best = std::min_element(names.begin(), names.end(),
                                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  if (names_paths(*best)) return static_cast<std::size_t>(best - names.begin());
  const auto other = std::find_if(names.begin(), names.end(), [](const std::string& name) {
    return !names_labels(name) && !names_splits(name);
  });
  return other == names.end() ? 0 : static_cast<std::size_t>(other - names.begin());
}

// The column called so, or the only one that may hold labels.
std::size_t label_column(const std::vector<std::string>& names, std::size_t path, const std::string& list) {
  std::vector<std::size_t> named, others;
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (c == path || names_splits(names[c])) continue;
    if (names_labels(names[c]))
      named.push_back(c);
    else if (!names_paths(names[c]))
      others.push_back(c);
  }
  const std::vector<std::size_t>& candidates = named.empty() ? others : named;
  std::vector<std::string> texts;
  for (const std::size_t c : candidates) texts.push_back(names[c]);
  check(!candidates.empty(), ExitCode::data, "{}: no column for the labels; call one of them label", list);
  check(candidates.size() == 1, ExitCode::data, "{}: the columns {} may all hold labels; {}; {}", list,
        quoted_names(texts), several_labels,
        named.empty() ? "call the one that does label" : "keep one of them");
  return candidates.front();
}

ListColumns columns_of_header(const std::vector<std::string>& names, const std::string& list) {
  ListColumns columns;
  columns.has_header = true;
  columns.count = names.size();
  columns.path = path_column(names);
  columns.label = label_column(names, columns.path, list);
  std::vector<std::string> unused;
  for (std::size_t c = 0; c < names.size(); ++c) {
    if (c == columns.path || c == columns.label) continue;
    if (!columns.split && names_splits(names[c]))
      columns.split = c;
    else
      unused.push_back(names[c]);
  }
  if (!unused.empty() || !names_paths(names[columns.path]) || !names_labels(names[columns.label]))
    columns.description =
        fmt::format("images are named in the column '{}', classes in '{}'{}", names[columns.path],
                    names[columns.label], unused.empty() ? "" : "; not used: " + quoted_names(unused));
  return columns;
}

}  // namespace

ListColumns find_columns(const CsvRow& first, const std::string& list,
                         const std::function<bool(const std::string& path)>& is_file) {
  const std::vector<std::string> cells = cells_of(first);
  check(cells.size() >= 2, ExitCode::data,
        "{}: line {}: a single column; expected the path of an image and its label, separated by a comma, a "
        "semicolon or a tab",
        list, first.line);
  check(
      !is_row_of_mxnet(cells), ExitCode::data,
      "{}: line {}: a number, a label and a path, as in MXNet's lists (.lst); name the columns label and path: "
      "(printf 'label\\tpath\\n'; cut -f2,3 '{}') > labels.tsv",
      list, first.line, list);
  const bool is_named = std::any_of(cells.begin(), cells.end(), names_paths) &&
                        std::any_of(cells.begin(), cells.end(), names_labels);
  const bool is_image = !promised_format(cells.front()).empty() || is_file(cells.front());
  return is_image && !is_named ? columns_without_header(cells, first, list) : columns_of_header(cells, list);
}

}  // namespace kindred::detail
