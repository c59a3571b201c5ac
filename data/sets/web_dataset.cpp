// The tar shards of WebDataset. Members form one sample if their names agree up to the first dot of the last
// path component: "n01/0007.jpg" and "n01/0007.cls". Only headers and labels are read when a set is opened.
#include <kindred/data/files/file.h>
#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/evaluation_folder.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/folders/split_folders.h>
#include <kindred/data/sets/folders/walk.h>
#include <kindred/data/sets/name_table.h>
#include <kindred/data/sets/tar.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <map>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_label_bytes = 1 << 20;
constexpr std::int64_t max_classes = 1'000'000;

struct ShardSample {
  std::string image;  // the member's name
  std::string label;  // as written in the file: a number or a class name
  std::uint64_t offset = 0, bytes = 0;
};

using Shard = std::vector<ShardSample>;

bool is_tar_name(const std::string& name) {
  return name.ends_with(".tar");
}

// ---- which shards make a split

bool names_split(const std::string& name, std::string_view split) {
  return name.find(split) != std::string::npos;
}

std::vector<fs::path> joined(const fs::path& dir, const std::vector<std::string>& names) {
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(dir / name);
  return paths;
}

// The shards of a split, none if there is no such split, and what the images in them are.
struct SplitShards {
  std::vector<fs::path> paths;
  Origin origin;
};

// `evaluate_on` says what Split::evaluation is.
SplitShards shards_of(const fs::path& dir, Split split, Split evaluate_on) {
  const bool on_val = evaluate_on != Split::test, on_test = evaluate_on != Split::val;
  const auto in_folder = [](const fs::path& folder, const char* part) {
    return SplitShards{joined(folder, list_files(folder, is_tar_name)), {folder.string(), part}};
  };
  const SplitFolders folders = find_split_folders(dir);
  if (!folders.train.empty()) {
    if (split == Split::train) return in_folder(folders.train.front(), "train");
    for (const fs::path& folder : on_val ? folders.validation : std::vector<fs::path>())
      if (SplitShards shards = in_folder(folder, "val"); !shards.paths.empty()) return shards;
    for (const fs::path& folder : on_test ? folders.test : std::vector<fs::path>())
      if (SplitShards shards = in_folder(folder, "test"); !shards.paths.empty()) return shards;
    return {};
  }
  std::vector<std::string> train, validation, test, other;
  for (const std::string& name : list_files(dir, is_tar_name))
    (names_split(name, "train")  ? train
     : names_split(name, "val")  ? validation
     : names_split(name, "test") ? test
                                 : other)
        .push_back(name);
  check(train.empty() || other.empty(), ExitCode::data,
        "{}: the split of {} is unclear, because other shards have 'train' in their names; rename it or move "
        "it away",
        dir.string(), other.empty() ? "" : other.front());
  if (split == Split::train) return {joined(dir, train.empty() ? other : train), {dir.string(), "train"}};
  if (on_val && (!on_test || !validation.empty())) return {joined(dir, validation), {dir.string(), "val"}};
  return {joined(dir, test), {dir.string(), "test"}};
}

// Shards that would be in the set if they were not compressed.
void warn_of_compressed(const fs::path& dir, Dataset& set) {
  const SplitFolders folders = find_split_folders(dir);
  std::vector<fs::path> places;
  if (folders.train.empty()) {
    places.push_back(dir);
  } else {
    places.push_back(folders.train.front());
    places.insert(places.end(), folders.validation.begin(), folders.validation.end());
    places.insert(places.end(), folders.test.begin(), folders.test.end());
  }
  for (const fs::path& place : places) {
    const std::string compressed = can_be_listed(place) ? compressed_tars_in(place) : std::string();
    if (!compressed.empty()) set.add_note(fmt::format("warning: {}: left out: {}", place.string(), compressed));
  }
}

// ---- the content of a shard

// Splits a name into the part that all members of a sample share and the extension that gives the member's
// role. Returns false if there is no extension, or if the name begins with a dot (macOS creates such files).
bool split_name(const std::string& name, std::string& key, std::string& ending) {
  const std::size_t slash = name.rfind('/'), base = slash == std::string::npos ? 0 : slash + 1;
  const std::size_t dot = name.find('.', base);
  if (dot == std::string::npos || dot == base) return false;
  key = name.substr(0, dot);
  ending = lower_case(name.substr(dot + 1));
  return true;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

std::string label_in_json(const std::string& text) {
  const nlohmann::json value = parse_hostile_json(text);
  if (!value.is_object()) return {};
  for (const char* key : {"cls", "label", "class"}) {
    const auto found = value.find(key);
    if (found == value.end()) continue;
    if (found->is_string()) return trimmed(found->get<std::string>());
    if (found->is_number_integer()) return json_text(*found);
  }
  return {};
}

class ShardIndexer {
 public:
  explicit ShardIndexer(const fs::path& path) : path_(path.string()), file_(path_) {
    check(file_.reason().empty(), ExitCode::data, "{}: {}", path_, file_.reason());
    const std::string compression = compression_of_tar(file_);
    check(compression.empty(), ExitCode::data, "{}: {}", path_, compression);
  }

  Shard read() {
    TarReader tar(file_, path_);
    std::string key, ending;
    for (TarMember member; tar.next(member);) {
      if (member.kind == TarKind::folder || member.kind == TarKind::other ||
          !split_name(member.name, key, ending))
        continue;
      if (key != key_) finish_sample();
      key_ = key;
      add(member, ending);
    }
    finish_sample();
    return std::move(shard_);
  }

 private:
  void add(const TarMember& member, const std::string& ending) {
    const bool image = ending.find('.') == std::string::npos && is_image_name("x." + ending);
    const bool label = ending == "cls" || ending == "cls.txt" || ending == "json";
    if (!image && !label) return;  // for example captions or boxes only
    check(member.kind == TarKind::file, ExitCode::data,
          "{}: '{}' is a link; links in shards are not followed: pack the files themselves", path_,
          member.name);
    if (image) {
      check(sample_.image.empty(), ExitCode::data, "{}: sample '{}' has two images, '{}' and '{}'", path_, key_,
            sample_.image, member.name);
      sample_.image = member.name;
      sample_.offset = member.offset;
      sample_.bytes = member.bytes;
      return;
    }
    check(member.bytes <= max_label_bytes, ExitCode::data, "{}: '{}' has {} bytes, too many for a label", path_,
          member.name, member.bytes);
    std::vector<std::uint8_t> buffer(static_cast<std::size_t>(member.bytes));
    const std::string reason = file_.read(member.offset, buffer);
    check(reason.empty(), ExitCode::data, "{}: '{}': {}", path_, member.name, reason);
    const std::string text(buffer.begin(), buffer.end());
    const std::string found = ending == "json" ? label_in_json(text) : trimmed(text);
    if (ending == "json" && (found.empty() || !sample_.label.empty())) return;  // .cls has priority
    sample_.label = found;
  }

  void finish_sample() {
    if (!sample_.image.empty() || !sample_.label.empty()) {
      check(!sample_.image.empty(), ExitCode::data,
            "{}: sample '{}' has a label and no image (.jpg, .png or .bmp)", path_, key_);
      check(!sample_.label.empty(), ExitCode::data,
            "{}: sample '{}' has no label; expected {}.cls with a class number or name, or a \"label\" in "
            "{}.json",
            path_, key_, key_, key_);
      shard_.push_back(std::move(sample_));
    }
    sample_ = {};
  }

  std::string path_;
  FileReader file_;
  Shard shard_;
  std::string key_;
  ShardSample sample_;
};

std::vector<Shard> index_shards(const std::vector<fs::path>& paths) {
  std::vector<Shard> shards(paths.size());
  parallel_for(static_cast<std::int64_t>(paths.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      shards[static_cast<std::size_t>(i)] = ShardIndexer(paths[static_cast<std::size_t>(i)]).read();
  });
  return shards;
}

// ---- classes

std::optional<std::int64_t> as_number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0 || value >= max_classes)
    return std::nullopt;
  return value;
}

// The meaning of labels: numbers if all training labels are numbers, otherwise names.
struct Classes {
  std::vector<std::string> names;
  std::map<std::string, std::int32_t> by_name;  // empty if labels are numbers
};

std::vector<std::string> read_class_list(const fs::path& path) {
  const FileContent file = read_file(path.string(), max_label_bytes * 64);
  check(file.ok(), ExitCode::data, "{}: {}", path.string(), file.reason);
  std::vector<std::string> names(1);
  for (const std::uint8_t byte : file.bytes) {
    if (byte == '\n')
      names.emplace_back();
    else if (byte != '\r')
      names.back() += static_cast<char>(byte);
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

Classes classes_of(const fs::path& dir, const std::vector<Shard>& training) {
  Classes classes;
  std::int64_t largest = 0;
  bool numbers = true;
  for (const Shard& shard : training)
    for (const ShardSample& sample : shard) {
      const auto number = as_number(sample.label);
      numbers &= number.has_value();
      if (number) largest = std::max(largest, *number);
      if (!numbers) break;
    }
  std::error_code ignored;
  const fs::path list = dir / "classes.txt";
  if (fs::exists(list, ignored)) classes.names = read_class_list(list);
  if (numbers) {
    if (classes.names.empty())
      for (std::int64_t i = 0; i <= largest; ++i) classes.names.push_back(fmt::format("{}", i));
    return classes;
  }
  if (classes.names.empty()) {
    for (const Shard& shard : training)
      for (const ShardSample& sample : shard) classes.names.push_back(sample.label);
    std::sort(classes.names.begin(), classes.names.end());
    classes.names.erase(std::unique(classes.names.begin(), classes.names.end()), classes.names.end());
  }
  for (std::size_t i = 0; i < classes.names.size(); ++i)
    classes.by_name.emplace(classes.names[i], static_cast<std::int32_t>(i));
  return classes;
}

std::int32_t label_of_member(const ShardSample& sample, const Classes& classes, const fs::path& shard) {
  if (!classes.by_name.empty()) {
    const auto found = classes.by_name.find(sample.label);
    check(found != classes.by_name.end(), ExitCode::data,
          "{}: '{}' is of class '{}', which classes.txt or the training shards lack", shard.string(),
          sample.image, sample.label);
    return found->second;
  }
  const auto number = as_number(sample.label);
  check(number && *number < static_cast<std::int64_t>(classes.names.size()), ExitCode::data,
        "{}: '{}' has class '{}'; expected a number from 0 to {}", shard.string(), sample.image, sample.label,
        classes.names.size() - 1);
  return static_cast<std::int32_t>(*number);
}

class ShardSource : public SampleSource {
 public:
  // Where an image lies.
  struct ShardRange {
    std::uint64_t offset = 0, bytes = 0;
    std::size_t shard = 0;
  };
  std::vector<fs::path> shards;
  std::vector<ShardRange> ranges;  // [samples]
  NameTable names;                 // [samples]

  explicit ShardSource(const DecodeLimits& limits) : SampleSource(limits) {}

  std::string name(std::int64_t i) const override {
    const auto at = static_cast<std::size_t>(i);
    return fmt::format("{}, member {}", shards[ranges[at].shard].string(), names[at]);
  }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    const ShardRange& range = ranges[static_cast<std::size_t>(i)];
    Encoded result;
    scratch.clear();
    if (range.bytes > limits().max_file_bytes) {
      result.reason =
          fmt::format("has {} bytes, more than the limit of {}", range.bytes, limits().max_file_bytes);
      return result;
    }
    const FileReader file(shards[range.shard].string());
    result.reason = file.reason();
    if (!result.ok()) return result;
    scratch.resize(static_cast<std::size_t>(range.bytes));
    result.reason = file.read(range.offset, scratch);
    if (result.ok()) result.bytes = scratch;
    return result;
  }
  std::optional<std::uint64_t> stored_bytes(std::int64_t i) const override {
    return ranges[static_cast<std::size_t>(i)].bytes;
  }
};

}  // namespace

bool has_shards(const fs::path& dir) {
  const SplitFolders folders = find_split_folders(dir);
  if (folders.train.empty()) return !list_files(dir, is_tar_name).empty();
  const fs::path& train = folders.train.front();
  return list_folders(train).empty() && !list_files(train, is_tar_name).empty();
}

std::optional<Dataset> open_web_dataset(const OpenRequest& request) {
  const std::vector<fs::path> training = shards_of(request.dir, Split::train, request.evaluate_on).paths;
  check(!training.empty(), ExitCode::data, "{}: no shards to train on; expected train-*.tar, or train/*.tar",
        request.dir.string());
  const auto [paths, origin] = shards_of(request.dir, request.split, request.evaluate_on);
  if (paths.empty()) return std::nullopt;
  std::string warning;
  if (request.split == Split::evaluation && !find_split_folders(request.dir).train.empty())
    warning = same_folder_warning(origin.folder, training.front().parent_path());
  std::vector<Shard> shards = index_shards(training);  // for their classes, even if the other split is wanted
  const Classes classes = classes_of(request.dir, shards);
  if (request.split == Split::evaluation) shards = index_shards(paths);

  auto source = std::make_shared<ShardSource>(request.limits);
  source->shards = paths;
  std::vector<std::int32_t> labels;
  for (std::size_t s = 0; s < shards.size(); ++s)
    for (const ShardSample& sample : shards[s]) {
      labels.push_back(label_of_member(sample, classes, paths[s]));
      source->names.add(sample.image);
      source->ranges.push_back({sample.offset, sample.bytes, s});
    }
  check(!labels.empty(), ExitCode::data,
        "{}: no images in its shards; expected members like 0001.jpg and 0001.cls",
        paths.front().parent_path().string());
  Dataset set(classes.names, std::move(labels), std::move(source), false);
  set.set_origin(origin);
  if (!warning.empty()) set.add_note(warning);
  warn_of_compressed(request.dir, set);
  return set;
}

}  // namespace kindred::detail
