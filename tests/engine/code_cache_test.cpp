// Compiled code comes back unchanged, and never from a file that somebody else may have written.
#include <doctest/doctest.h>
#include <kindred/engine/files/code_cache.h>

#include "temporary_folder.h"

#include <sys/stat.h>  // defines: umask

#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string name = "data gradient bf16 256x56x56x64, an engine, a GPU";
const std::string code("kernel\0 with a zero\n and lines", 30);

fs::path only_file(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  REQUIRE(files.size() == 1);
  return files[0];
}

TEST_CASE("code cache: what was remembered is found, under its own name only") {
  const TemporaryFolder folder;
  const CodeCache cache(folder.path / "deep" / "kindred");
  CHECK_FALSE(cache.find(name));
  cache.remember(name, code);
  CHECK(cache.find(name) == code);
  CHECK_FALSE(cache.find(name + "s"));
  cache.remember(name, "newer");
  CHECK(cache.find(name) == "newer");
  CHECK(CodeCache(folder.path / "deep" / "kindred").find(name) == "newer");

  const CodeCache none{fs::path()};
  none.remember(name, code);
  CHECK_FALSE(none.find(name));
}

TEST_CASE("code cache: every changed or missing byte is noticed") {
  const TemporaryFolder folder;
  const CodeCache cache(folder.path / "kindred");
  cache.remember(name, code);
  const fs::path file = only_file(folder.path / "kindred");
  const std::string whole = read_bytes(file);
  for (std::size_t i = 0; i < whole.size(); ++i) {
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    std::ofstream(file, std::ios::binary) << changed;
    CHECK_FALSE(cache.find(name));
    std::ofstream(file, std::ios::binary) << whole.substr(0, i);
    CHECK_FALSE(cache.find(name));
  }
  std::ofstream(file, std::ios::binary) << whole;
  CHECK(cache.find(name) == code);
}

TEST_CASE("code cache: what others can write, and links, are not taken") {
  const TemporaryFolder folder;
  const fs::path place = folder.path / "kindred";
  const CodeCache cache(place);
  const mode_t before = ::umask(0);  // the least careful setting
  cache.remember(name, code);
  ::umask(before);
  CHECK(cache.find(name) == code);
  const fs::path file = only_file(place);

  for (const auto perms : {fs::perms::group_write, fs::perms::others_write}) {
    fs::permissions(file, perms, fs::perm_options::add);
    CHECK_FALSE(cache.find(name));
    fs::permissions(file, perms, fs::perm_options::remove);
    CHECK(cache.find(name) == code);
    fs::permissions(place, perms, fs::perm_options::add);
    CHECK_FALSE(cache.find(name));
    fs::permissions(place, perms, fs::perm_options::remove);
  }
  fs::rename(file, folder.path / "elsewhere");
  fs::create_symlink(folder.path / "elsewhere", file);
  CHECK_FALSE(cache.find(name));
  fs::remove(file);
  fs::rename(place, folder.path / "real");
  fs::create_directory_symlink(folder.path / "real", place);
  cache.remember(name, code);
  CHECK_FALSE(cache.find(name));
}

TEST_CASE("code cache: a place that cannot be written is no error") {
  const TemporaryFolder folder;
  std::ofstream(folder.path / "file") << "no folder";
  const CodeCache cache(folder.path / "file" / "kindred");
  cache.remember(name, code);
  CHECK_FALSE(cache.find(name));
}

TEST_CASE("code cache: the oldest make room, and other files stay") {
  const TemporaryFolder folder;
  const CodeCache cache(folder.path);
  fs::permissions(folder.path, fs::perms::owner_all);
  std::ofstream(folder.path / "mine.txt") << "keep";
  for (std::size_t i = 0; i < CodeCache::most_files + 3; ++i) {
    const fs::path file = folder.path / ("old" + std::to_string(i) + ".plan");
    std::ofstream(file) << "x";
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(i + 1));
  }
  cache.remember(name, code);
  CHECK(cache.find(name) == code);
  CHECK(fs::exists(folder.path / "mine.txt"));
  CHECK(fs::exists(folder.path / "old0.plan"));
  CHECK_FALSE(fs::exists(folder.path / ("old" + std::to_string(CodeCache::most_files - 1) + ".plan")));
}

}  // namespace
}  // namespace kindred
