// Packs: every record that the index names lies within the file. The checksums would stop a fuzzer before the
// index, so each input is tried unchanged and with corrected checksums.
#include "fuzz_target.h"

#include <kindred/data/files/file.h>
#include <kindred/data/sets/pack/pack.h>
#include <kindred/data/sets/pack/pack_format.h>
#include <kindred/engine/error.h>

#include <unistd.h>  // defines: getpid

#include <filesystem>
#include <memory>

using namespace kindred;

namespace {

void parse(std::span<const std::uint8_t> file) {
  try {
    const PackContents contents = parse_pack(file, "fuzz.kpack");
    KINDRED_FUZZ_CHECK(!contents.held_out ||
                       (contents.held_out->fraction > 0 && contents.held_out->fraction < 1));
    std::uint64_t number = 0;
    for (const PackSplit& split : contents.splits) {
      KINDRED_FUZZ_CHECK(split.names.size() == split.records.size());
      for (const PackRecord& record : split.records) {
        KINDRED_FUZZ_CHECK(static_cast<std::size_t>(record.label) < contents.class_names.size());
        record_hash(file.subspan(static_cast<std::size_t>(record.offset), record.bytes), number++);
      }
    }
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::data);
  }
}

void run(std::span<const std::uint8_t> bytes) {
  parse(bytes);
  if (bytes.size() < detail::header_bytes) return;
  fuzz::Bytes file(bytes.begin(), bytes.end());
  const auto put = [&](std::size_t at, std::uint64_t value) { std::memcpy(file.data() + at, &value, 8); };
  std::uint64_t index;
  std::memcpy(&index, file.data() + 24, 8);
  if (index > file.size()) index = file.size();
  std::copy(detail::pack_magic.begin(), detail::pack_magic.end(), file.begin());
  put(16, file.size());
  put(24, index);
  put(32, file.size() - index);
  put(40, detail::hash_of(std::span<const std::uint8_t>(file).subspan(static_cast<std::size_t>(index))));
  put(56, detail::hash_of(std::span<const std::uint8_t>(file).first(56)));
  parse(file);
}

// Samples with arbitrary bytes.
struct AnySource : SampleSource {
  std::string name(std::int64_t i) const override { return "class/" + std::to_string(i) + ".jpg"; }
  std::optional<Encoded> encoded(std::int64_t i, std::vector<std::uint8_t>& scratch) const override {
    scratch.assign(static_cast<std::size_t>(i) * 7, static_cast<std::uint8_t>(i));
    return Encoded{scratch, ""};
  }
};

std::vector<fuzz::Bytes> seeds() {
  const Dataset train({"a", "b"}, {0, 1, 1, 0, 1}, std::make_shared<AnySource>(), false);
  const Dataset evaluation({"a", "b"}, {1}, std::make_shared<AnySource>(), false);
  const auto folder =
      std::filesystem::temp_directory_path() / ("kindred_fuzz_pack_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::vector<fuzz::Bytes> files;
  for (const bool both : {false, true}) {
    const std::string path = (folder / (both ? "2" : "1")).string();
    write_pack(train, both ? std::optional(evaluation) : std::nullopt, "", path, {});
    files.push_back(read_file(path, 1 << 20).bytes);
  }
  Dataset rest = train;  // after some were held out
  rest.set_origin({"set", "train", HeldOutShare{0.25, 7}});
  const std::string path = (folder / "3").string();
  write_pack(rest, std::optional(evaluation), "", path, {});
  files.push_back(read_file(path, 1 << 20).bytes);
  std::filesystem::remove_all(folder);
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(pack, run, seeds)
