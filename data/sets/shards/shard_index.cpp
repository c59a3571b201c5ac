#include <kindred/data/files/byte_reader.h>
#include <kindred/data/sets/compressed_tars.h>
#include <kindred/data/sets/dataset_sources.h>
#include <kindred/data/sets/folders/names.h>
#include <kindred/data/sets/shards/shard_index.h>
#include <kindred/data/sets/tar.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/trimmed.h>

#include <nlohmann/json.hpp>

#include <utility>

namespace kindred::detail {
namespace {

constexpr std::uint64_t max_label_bytes = 1 << 20;

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

std::string label_in_json(const std::string& text) {
  const nlohmann::json value = parse_hostile_json(text);
  if (!value.is_object()) return {};
  for (const char* key : {"cls", "label", "class"}) {
    const auto found = value.find(key);
    if (found == value.end()) continue;
    if (found->is_string()) return std::string(trimmed(found->get<std::string>()));
    if (found->is_number_integer()) return json_text(*found);
  }
  return {};
}

class ShardIndexer {
 public:
  explicit ShardIndexer(const ShardFile& shard) : path_(shard.name), file_(shard.file.string()) {
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
    const std::string found = ending == "json" ? label_in_json(text) : std::string(trimmed(text));
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

}  // namespace

std::vector<Shard> index_shards(const std::vector<ShardFile>& files) {
  std::vector<Shard> shards(files.size());
  parallel_for(static_cast<std::int64_t>(files.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      shards[static_cast<std::size_t>(i)] = ShardIndexer(files[static_cast<std::size_t>(i)]).read();
  });
  return shards;
}

}  // namespace kindred::detail
