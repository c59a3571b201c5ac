#include <kindred/data/files/byte_reader.h>
#include <kindred/data/files/file.h>
#include <kindred/data/sets/name_table.h>
#include <kindred/data/sets/shards/shard_index.h>
#include <kindred/data/sets/shards/shard_set.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace kindred::detail {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_class_list_bytes = 1 << 26;
constexpr std::int64_t max_classes = 1'000'000;

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
  const FileContent file = read_file(path.string(), max_class_list_bytes);
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

Classes classes_of(const fs::path& class_list, const std::vector<Shard>& training) {
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
  if (fs::exists(class_list, ignored)) classes.names = read_class_list(class_list);
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

std::int32_t label_of_member(const ShardSample& sample, const Classes& classes, const std::string& shard) {
  if (!classes.by_name.empty()) {
    const auto found = classes.by_name.find(sample.label);
    check(found != classes.by_name.end(), ExitCode::data,
          "{}: '{}' is of class '{}', which classes.txt or the training shards lack", shard, sample.image,
          sample.label);
    return found->second;
  }
  const auto number = as_number(sample.label);
  check(number && *number < static_cast<std::int64_t>(classes.names.size()), ExitCode::data,
        "{}: '{}' has class '{}'; expected a number from 0 to {}", shard, sample.image, sample.label,
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
  std::vector<ShardFile> shards;
  std::vector<ShardRange> ranges;             // [samples]
  NameTable names;                            // [samples]
  std::shared_ptr<const ShardFolder> folder;  // exists as long as this does

  explicit ShardSource(const DecodeLimits& limits) : SampleSource(limits) {}

  std::string name(std::int64_t i) const override {
    const auto at = static_cast<std::size_t>(i);
    return fmt::format("{}, member {}", shards[ranges[at].shard].name, names[at]);
  }
  // Without the folder or the command, so that it is the same image wherever its shard lies and however it came there.
  std::string id(std::int64_t i) const override {
    const auto at = static_cast<std::size_t>(i);
    std::string id = fmt::format("{}, member {}", shards[ranges[at].shard].called, names[at]);
    id.erase(0, id.find_last_of('/') + 1);
    while (id.ends_with(')')) id.pop_back();  // as of other sources
    return id;
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
    const FileReader file(shards[range.shard].file.string());
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

Dataset set_of_shards(const std::vector<ShardFile>& training, const std::vector<ShardFile>& shards,
                      const fs::path& class_list, const DecodeLimits& limits,
                      std::shared_ptr<const ShardFolder> folder) {
  const std::vector<ShardFile>& files = shards.empty() ? training : shards;
  std::vector<Shard> indexed = index_shards(training);  // for their classes, even if others are wanted
  const Classes classes = classes_of(class_list, indexed);
  if (!shards.empty()) indexed = index_shards(shards);

  auto source = std::make_shared<ShardSource>(limits);
  source->shards = files;
  source->folder = std::move(folder);
  std::vector<std::int32_t> labels;
  for (std::size_t s = 0; s < indexed.size(); ++s)
    for (const ShardSample& sample : indexed[s]) {
      labels.push_back(label_of_member(sample, classes, files[s].name));
      source->names.add(sample.image);
      source->ranges.push_back({sample.offset, sample.bytes, s});
    }
  check(!labels.empty(), ExitCode::data,
        "{}: no images in its shards; expected members like 0001.jpg and 0001.cls",
        files.front().name == files.front().file ? files.front().file.parent_path().string()
                                                 : files.front().name);
  return Dataset(classes.names, std::move(labels), std::move(source), false);
}

}  // namespace kindred::detail
