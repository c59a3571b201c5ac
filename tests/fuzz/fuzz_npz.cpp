// .npz files: any bytes give arrays within the file, or an error. The checksums do not stop a fuzzer, because
// they are compared after the elements are read.
#include "fuzz_target.h"

#include <kindred/data/npz/npz.h>
#include <kindred/engine/error.h>

#include <unistd.h>  // defines: getpid

#include <filesystem>
#include <fstream>
#include <iterator>

using namespace kindred;

namespace {

template <typename T>
void read(const NpzFile& file, const NpzEntry& entry) {
  if (entry.type != npy_type<T>) return;
  KINDRED_FUZZ_CHECK(file.read<T>(entry).size() == entry.numel());
}

void run(std::span<const std::uint8_t> bytes) {
  try {
    const NpzFile file(std::make_shared<MemoryReader>(bytes), "fuzz.npz");
    for (const NpzEntry& entry : file.entries()) {
      KINDRED_FUZZ_CHECK(entry.offset <= bytes.size() && entry.bytes <= bytes.size() - entry.offset);
      try {
        read<float>(file, entry);
        read<double>(file, entry);
        read<std::int32_t>(file, entry);
        read<std::int64_t>(file, entry);
        if (entry.type.starts_with("<U")) KINDRED_FUZZ_CHECK(file.read_texts(entry).size() == entry.numel());
      } catch (const Error& error) {
        KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
      }
    }
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
  }
}

std::vector<fuzz::Bytes> seeds() {
  const auto path = std::filesystem::temp_directory_path() / ("kindred_fuzz_npz_" + std::to_string(::getpid()));
  std::vector<fuzz::Bytes> files;
  for (const bool second : {false, true}) {
    NpzWriter writer(path);
    writer.begin<float>("features", {3});
    writer.append<float>(std::vector<float>{1, 2, 3, 4, 5, 6});
    if (second) {
      writer.add<std::int64_t>("labels", {2, 1}, std::vector<std::int64_t>{7, 8});
      writer.add<double>("scalar", {}, std::vector<double>{0.5});
      writer.begin_texts("paths", 4);
      for (const char* text : {"a/b", "é漢"}) writer.append_text(text);
    }
    writer.commit();
    std::ifstream file(path, std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::filesystem::remove(path);
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(npz, run, seeds)
