#include <kindred/apps/similarity/index_file.h>
#include <kindred/data/files/file.h>
#include <kindred/data/npz/npy_file.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <limits>
#include <map>
#include <system_error>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t most_index_bytes = std::size_t{16} << 20;
constexpr std::int64_t most_indexed_dim = 1'000'000;

struct NameForm {
  IndexedKind kind;
  const char *begin, *end;
};
constexpr NameForm name_forms[] = {{IndexedKind::features, "features-", ".npy"},
                                   {IndexedKind::rows, "rows-", ".jsonl"},
                                   {IndexedKind::thumbnails, "thumbnails-", ".bin"},
                                   {IndexedKind::arranged, "search-", ".faiss"}};

// The values of index.json, which is not trusted.
class IndexReader {
 public:
  IndexReader(const nlohmann::json& value, const fs::path& folder) : value_(value), folder_(folder) {}

  [[noreturn]] void damaged(const std::string& what) const {
    fail(ExitCode::file, "{}: {}; {}", (folder_ / index_file_name).string(), what,
         advice_for_damaged_index(folder_));
  }
  IndexReader at(const char* key) const {
    if (!has(key)) damaged(fmt::format("it has no \"{}\"", key));
    return {value_[key], folder_};
  }
  bool has(const char* key) const { return value_.is_object() && value_.contains(key); }
  std::string text(const char* key) const {
    const nlohmann::json& value = at(key).value_;
    if (!value.is_string()) damaged(fmt::format("\"{}\" should be a text", key));
    return value.get<std::string>();
  }
  bool truth(const char* key) const {
    const nlohmann::json& value = at(key).value_;
    if (!value.is_boolean()) damaged(fmt::format("\"{}\" should be true or false", key));
    return value.get<bool>();
  }
  std::int64_t number(const char* key, std::int64_t least, std::int64_t most) const {
    const nlohmann::json& value = at(key).value_;
    const bool good = value.is_number_unsigned() &&
                      value.get<std::uint64_t>() <= static_cast<std::uint64_t>(most) &&
                      value.get<std::int64_t>() >= least;
    if (!good) damaged(fmt::format("\"{}\" should be a whole number from {} to {}", key, least, most));
    return value.get<std::int64_t>();
  }
  std::vector<IndexReader> list(const char* key, std::size_t most) const {
    const nlohmann::json& value = at(key).value_;
    if (!value.is_array() || value.size() > most)
      damaged(fmt::format("\"{}\" should be a list of at most {}", key, most));
    std::vector<IndexReader> entries;
    for (const auto& entry : value) entries.push_back({entry, folder_});
    return entries;
  }
  std::string checksum(const char* key) const {
    std::string digits = text(key);
    if (digits.size() != 16 || digits.find_first_not_of("0123456789abcdef") != digits.npos)
      damaged(fmt::format("\"{}\" should be 16 hexadecimal digits", key));
    return digits;
  }
  // Names are joined to the folder, so no other than those of an index are taken.
  IndexedFile file(const char* key, IndexedKind kind) const {
    const IndexReader entry = at(key);
    IndexedFile file{
        entry.text("file"),
        static_cast<std::uint64_t>(entry.number("bytes", 0, std::numeric_limits<std::int64_t>::max())),
        entry.checksum("xxh3")};
    const std::optional<int> number = number_in_name(file.name);
    if (!number || file.name != indexed_name(kind, *number))
      damaged(fmt::format("\"{}\" names a file that no index has", key));
    return file;
  }
  const nlohmann::json& value() const { return value_; }

 private:
  const nlohmann::json& value_;
  const fs::path& folder_;
};

// The encoder's own texts, of which its file says the same (models/encoder_file.h).
constexpr const char* preparation_keys[] = {"model",     "stem",   "image_size", "pixel_mean",
                                            "pixel_std", "resize", "exif"};

IndexedEncoder parse_indexed_encoder(const IndexReader& reader, const fs::path& folder) {
  IndexedEncoder encoder{reader.checksum("xxh3"), reader.text("path"), reader.truth("foreign"), {}};
  std::map<std::string, std::string> texts;
  for (const char* key : preparation_keys) {
    const nlohmann::json& value = reader.at(key).value();
    texts[key] = value.is_string() ? value.get<std::string>() : json_text(value);
  }
  try {
    encoder.info = parse_encoder_info(folder.string(), texts);
  } catch (const Error&) {
    reader.damaged("what it says about its encoder cannot be read");
  }
  return encoder;
}

IndexSegment parse_segment(const IndexReader& reader, std::int64_t dim) {
  IndexSegment segment;
  segment.rows = reader.number("rows", 1, most_indexed_rows);
  segment.features = reader.file("features", IndexedKind::features);
  segment.rows_file = reader.file("table", IndexedKind::rows);
  if (reader.has("thumbnails")) segment.thumbnails = reader.file("thumbnails", IndexedKind::thumbnails);
  const auto rows = static_cast<std::uint64_t>(segment.rows);
  const bool fits = npy_bytes(segment.rows, dim) == segment.features.bytes &&
                    segment.rows_file.bytes >= rows * 2 &&  // "{}" at least
                    (!segment.thumbnails || segment.thumbnails->bytes >= rows * sizeof(std::uint64_t));
  if (!fits) reader.damaged("the files of a segment have sizes that do not fit its rows");
  return segment;
}

ArrangedRows parse_arranged(const IndexReader& reader, const IndexContent& content) {
  ArrangedRows arranged{reader.at("search").number("rows", 1, content.rows()),
                        reader.file("search", IndexedKind::arranged)};
  std::int64_t rows = 0;
  for (const IndexSegment& segment : content.segments)
    if (rows < arranged.rows) rows += segment.rows;
  if (rows != arranged.rows) reader.damaged("\"search\" is of rows that end within a segment");
  return arranged;
}

nlohmann::json tree_of(const std::string& text) {
  return parse_hostile_json(text, {.depth = 8});
}

// Discarded if there is none.
nlohmann::json tree_in(const fs::path& folder) {
  const FileContent content = read_file((folder / index_file_name).string(), most_index_bytes);
  return tree_of({content.bytes.begin(), content.bytes.end()});
}

bool says_it_is_index(const nlohmann::json& tree) {
  return tree.is_object() && tree.contains("format") && tree["format"] == index_format;
}

}  // namespace

std::string indexed_name(IndexedKind kind, int number) {
  for (const NameForm& form : name_forms)
    if (form.kind == kind) return fmt::format("{}{:03}{}", form.begin, number, form.end);
  fail(ExitCode::internal, "no name for a file of an index");
}

std::optional<int> number_in_name(const std::string& name) {
  for (const NameForm& form : name_forms) {
    const std::string_view begin = form.begin, end = form.end;
    if (!name.starts_with(begin) || !name.ends_with(end) || name.size() > 40) continue;
    if (name.size() <= begin.size() + end.size()) continue;
    int number = -1;
    const char* const first = name.data() + begin.size();
    const char* const last = name.data() + name.size() - end.size();
    const auto [read, error] = std::from_chars(first, last, number);
    if (error == std::errc() && read == last && number >= 0 && number <= most_file_number &&
        indexed_name(form.kind, number) == name)
      return number;
  }
  return std::nullopt;
}

std::vector<std::string> names_in_index(const IndexContent& content) {
  std::vector<std::string> names;
  for (const IndexSegment& segment : content.segments) {
    names.insert(names.end(), {segment.features.name, segment.rows_file.name});
    if (segment.thumbnails) names.push_back(segment.thumbnails->name);
  }
  if (content.arranged) names.push_back(content.arranged->file.name);
  return names;
}

std::string advice_for_damaged_index(const fs::path& folder) {
  return fmt::format("the index is damaged: remove {} and make it again with `similar index`", folder.string());
}

bool is_index(const fs::path& folder) {
  return says_it_is_index(tree_in(folder));
}

bool is_begun_index(const fs::path& folder) {
  const nlohmann::json tree = tree_in(folder);
  return says_it_is_index(tree) && tree.contains("complete") && tree["complete"] == false;
}

void check_not_in_index(const char* flag, const std::string& file) {
  std::error_code ignored;
  check(file.empty() || !is_index(fs::weakly_canonical(file, ignored).parent_path()), ExitCode::usage,
        "{} {}: lies in the folder of an index, which has its own files alone; give another place", flag, file);
}

void check_ending(const char* flag, const std::string& file, const char* ending) {
  check(file.empty() || file.ends_with(ending), ExitCode::usage, "{} {}: expected a name that ends in {}", flag,
        file, ending);
}

std::string index_text(const fs::path& folder) {
  std::error_code ignored;
  const fs::path path = folder / index_file_name;
  check(fs::exists(folder, ignored), ExitCode::file,
        "{}: no such folder; give the folder that `similar index --out` made", folder.string());
  check(fs::is_directory(folder, ignored) && fs::exists(path, ignored), ExitCode::file,
        "{}: it is no index: it has no {}; give the folder that `similar index --out` made", folder.string(),
        index_file_name);
  const FileContent content = read_file(path.string(), most_index_bytes);
  check(content.ok(), ExitCode::file, "{}: {}; check its permissions, or give another index", path.string(),
        content.reason);
  return {content.bytes.begin(), content.bytes.end()};
}

IndexContent parse_index(const fs::path& folder, const std::string& text) {
  const nlohmann::json tree = tree_of(text);
  const IndexReader reader(tree, folder);
  if (tree.is_discarded()) reader.damaged("it is not JSON");
  check(says_it_is_index(tree), ExitCode::file,
        "{}: it is no index: its {} is another program's; give the folder that `similar index --out` made",
        folder.string(), index_file_name);
  const std::int64_t version = reader.number("version", 1, std::numeric_limits<int>::max());
  check(version == index_version, ExitCode::file,
        "{}: an index of version {}, and this program reads version {}; make it again with `similar index`",
        folder.string(), version, index_version);
  IndexContent content;
  content.is_complete = reader.truth("complete");
  check(content.is_complete, ExitCode::file,
        "{}: half written: `similar index` is still at work, or was ended before it was done; wait for it, or "
        "give the same "
        "command again, which begins anew",
        folder.string());
  content.dim = reader.number("dim", 1, most_indexed_dim);
  content.encoder = parse_indexed_encoder(reader.at("encoder"), folder);
  content.factory = reader.text("factory");
  for (const IndexReader& entry : reader.list("segments", most_segments))
    content.segments.push_back(parse_segment(entry, content.dim));
  const std::int64_t rows = reader.number("rows", 1, most_indexed_rows);
  if (rows != content.rows()) reader.damaged("its segments have another number of rows than it says");
  std::vector<std::string> names = names_in_index(content);
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) reader.damaged("it names a file twice");
  if (reader.has("search")) content.arranged = parse_arranged(reader, content);
  if (content.arranged.has_value() == (content.factory == flat_factory))
    reader.damaged("\"factory\" and \"search\" do not belong together");
  return content;
}

IndexContent read_index(const fs::path& folder) {
  return parse_index(folder, index_text(folder));
}

}  // namespace kindred
