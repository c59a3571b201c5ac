// Where libraries of Python packages are searched, in folders that the test makes: nothing depends on the
// machine. Libraries that can be opened are copies of one that every program here has open.
#include <kindred/engine/error.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <doctest/doctest.h>

#include "../engine/temporary_folder.h"

#include <sys/stat.h>  // defines: chmod

#include <algorithm>
#include <chrono>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* wanted = "libkindred_stand_in.so.9";

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  write_bytes(path, text);
}

// A library that can be opened, in <site-packages>/nvidia/<component>/lib, as in NVIDIA's wheels.
fs::path put_library(const fs::path& packages, const std::string& component, const std::string& name = wanted) {
  static const DynamicLibrary there({"libz.so.1"});
  REQUIRE(there.is_open());
  const fs::path file = packages / "nvidia" / component / "lib" / name;
  fs::create_directories(file.parent_path());
  fs::copy_file(there.path(), file, fs::copy_options::overwrite_existing);
  return file;
}

// A python3 that only prints `answer` if it is asked for its folders.
fs::path put_python(const fs::path& bin, const std::string& answer = "") {
  const fs::path python = bin / "python3";
  write(python, "#!/bin/sh\n" + answer);
  fs::permissions(python, fs::perms::owner_all);
  return python;
}

std::vector<fs::path> found(const SearchEnvironment& environment,
                            const std::vector<std::string>& names = {wanted}) {
  return search_packages(names, environment).found;
}

using Files = std::vector<fs::path>;

TEST_CASE("library search: nothing is set, nothing is found, and nothing is run") {
  const LibrarySearch search = search_packages({wanted}, {});
  CHECK(search.found.empty());
  CHECK(search.places.empty());
  const DynamicLibrary none({wanted}, SearchEnvironment());
  CHECK_FALSE(none.is_open());
  CHECK(none.problem().find(wanted) != std::string::npos);
}

TEST_CASE("library search: a virtual environment, conda's prefix and python3's packages, in this order") {
  const TemporaryFolder folder;
  SearchEnvironment environment{folder / "venv", folder / "conda", (folder / "usr/bin").string(),
                                folder / "home"};
  put_python(folder / "usr/bin");
  const fs::path of_venv = put_library(folder / "venv/lib/python3.11/site-packages", "cudnn");
  const fs::path of_conda = put_library(folder / "conda/lib/python3.12/site-packages", "cudnn");
  const fs::path of_user = put_library(folder / "home/.local/lib/python3.11/site-packages", "cu13");
  const fs::path of_system = put_library(folder / "usr/lib/python3/dist-packages", "cudnn");
  const fs::path of_pip = put_library(folder / "usr/local/lib/python3.11/dist-packages", "cudnn");
  CHECK(found(environment) == Files{of_venv, of_conda, of_user, of_system, of_pip});
  const DynamicLibrary opened({wanted}, environment);
  CHECK(opened.is_open());
  CHECK(opened.path() == of_venv);

  environment.virtual_env = "";
  CHECK(DynamicLibrary({wanted}, environment).path() == of_conda);
  // conda's own packages install into its lib.
  fs::copy_file(of_conda, folder / "conda/lib" / wanted);
  CHECK(DynamicLibrary({wanted}, environment).path() == folder / "conda/lib" / wanted);
  environment.conda_prefix = "";
  CHECK(DynamicLibrary({wanted}, environment).path() == of_user);
  environment.home = "";
  CHECK(DynamicLibrary({wanted}, environment).path() == of_system);
}

TEST_CASE("library search: every component of NVIDIA's wheels, newer versions of Python first") {
  const TemporaryFolder folder;
  const SearchEnvironment environment{folder / "venv", "", "", ""};
  const fs::path old = put_library(folder / "venv/lib/python3.9/site-packages", "cublas", "libx.so.12");
  const fs::path packages = folder / "venv/lib/python3.10/site-packages";
  const fs::path twelve = put_library(packages, "cublas", "libx.so.12");
  const fs::path thirteen = put_library(packages, "cu13", "libx.so.13");
  const fs::path also_twelve = put_library(packages, "cu13", "libx.so.12");
  const fs::path nccl = put_library(packages, "nccl", "libnccl.so.2");
  // Folders are searched in order, and in each folder the preferred name comes first.
  CHECK(found(environment, {"libx.so.13", "libx.so.12"}) == Files{thirteen, also_twelve, twelve, old});
  CHECK(found(environment, {"libnccl.so.2"}) == Files{nccl});
  CHECK(found(environment, {"libnccl.so.3"}).empty());
  // lib64, as on Fedora; a folder that is not Python's is not searched.
  const fs::path fedora = put_library(folder / "venv/lib64/python3.13/site-packages", "cudnn");
  put_library(folder / "venv/lib/python3.x/site-packages", "cudnn");
  put_library(folder / "venv/lib/python2.7/site-packages", "cudnn");
  CHECK(found(environment) == Files{fedora});
}

TEST_CASE("library search: python3 in a virtual environment that is not active, and what it was made with") {
  const TemporaryFolder folder;
  const fs::path base = put_python(folder / "base/bin");
  fs::create_directories(folder / "venv/bin");
  fs::create_symlink(base, folder / "venv/bin/python3");
  write(folder / "venv/pyvenv.cfg", "version = 3.11.2\nhome = " + (folder / "other/bin").string() + "\n");
  const SearchEnvironment environment{"", "", (folder / "venv/bin").string(), ""};
  const fs::path of_other = put_library(folder / "other/lib/python3.11/site-packages", "cudnn");
  CHECK(found(environment) == Files{of_other});
  const fs::path of_base = put_library(folder / "base/lib/python3.11/site-packages", "cudnn");
  CHECK(found(environment) == Files{of_base, of_other});
  const fs::path of_venv = put_library(folder / "venv/lib/python3.11/site-packages", "cudnn");
  CHECK(found(environment) == Files{of_venv, of_base, of_other});
}

TEST_CASE("library search: a python3 that is a script is asked, with a limit") {
  const TemporaryFolder folder;
  const SearchEnvironment environment{"", "", "/no/such/folder:" + (folder / "shims").string(), ""};
  const fs::path file = put_library(folder / "hidden/site-packages", "cudnn");
  const std::string answer = "echo relative\necho '" + (folder / "hidden/site-packages").string() + "'\n";
  put_python(folder / "shims", answer + "[ \"$1\" = -I ] && [ \"$(pwd)\" = / ]\n");
  CHECK(found(environment) == Files{file});
  put_python(folder / "shims", answer + "exit 3\n");
  CHECK(found(environment).empty());
  put_python(folder / "shims", answer + "sleep 60\n");
  const auto start = std::chrono::steady_clock::now();
  CHECK(place_by_asking_python(environment, 200).folders.empty());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));
  // python3 is not asked if the file system gives the answer.
  put_python(folder / "shims", "touch '" + (folder / "asked").string() + "'\n");
  put_library(folder / "venv/lib/python3.11/site-packages", "cudnn");
  CHECK(found({folder / "venv", "", environment.path, ""}).size() == 1);
  CHECK_FALSE(fs::exists(folder / "asked"));
  CHECK(found(environment).empty());
  CHECK(fs::exists(folder / "asked"));
}

TEST_CASE("library search: no relative folder, and none in which everybody may write") {
  const TemporaryFolder folder;
  const fs::path venv = folder / "venv";
  const fs::path file = put_library(venv / "lib/python3.11/site-packages", "cudnn");
  const SearchEnvironment environment{venv, "", "", ""};
  REQUIRE(found(environment) == Files{file});
  const fs::path before = fs::current_path();
  fs::current_path(folder.path);
  put_python(folder / "bin");
  put_library(folder / "lib/python3.11/site-packages", "cudnn");
  CHECK(search_packages({wanted}, {"venv", "venv", "", ""}).places.empty());
  CHECK(found({"./venv", "", "bin:.", "."}).empty());
  CHECK(found({"", "", ":", "venv"}).empty());
  fs::current_path(before);

  // Every folder on the path counts, and so does the file itself.
  for (const fs::path& step : {file, file.parent_path(), venv / "lib/python3.11", venv}) {
    CAPTURE(step);
    const fs::perms own = fs::status(step).permissions();
    fs::permissions(step, fs::perms::others_write, fs::perm_options::add);
    const LibrarySearch search = search_packages({wanted}, environment);
    CHECK(search.found.empty());
    CHECK(search.unsafe == Files{file});
    const DynamicLibrary refused({wanted}, environment);
    CHECK_FALSE(refused.is_open());
    CHECK(refused.problem().find(file.string() + " is skipped") != std::string::npos);
    fs::permissions(step, own);
  }
  // A folder like /tmp, where only the owner may remove files, is accepted as long as its content is ours.
  fs::permissions(venv, fs::perms::all | fs::perms::sticky_bit);
  CHECK(found(environment) == Files{file});
  CHECK_FALSE(everybody_may_write(file));
  CHECK(everybody_may_write("relative"));
  CHECK(everybody_may_write(folder / "missing"));
  // A symbolic link into an open folder counts as open.
  fs::permissions(venv, fs::perms::owner_all);
  fs::create_directories(folder / "open");
  fs::rename(file, folder / "open/real.so");
  fs::create_symlink(folder / "open/real.so", file);
  CHECK(found(environment) == Files{file});
  fs::permissions(folder / "open", fs::perms::all);
  CHECK(found(environment).empty());
}

TEST_CASE("library search: a file that is no library is named, and the next is taken") {
  const TemporaryFolder folder;
  const fs::path broken = folder / "venv/lib/python3.11/site-packages/nvidia/cudnn/lib" / fs::path(wanted);
  write(broken, "not a library");
  const fs::path whole = put_library(folder / "conda/lib/python3.11/site-packages", "cudnn");
  CHECK(DynamicLibrary({wanted}, {folder / "venv", folder / "conda", "", ""}).path() == whole);
  const DynamicLibrary none({wanted}, {folder / "venv", "", "", ""});
  CHECK_FALSE(none.is_open());
  CHECK(none.problem().find(broken.string()) != std::string::npos);
  CHECK(none.problem().find("the virtual environment " + (folder / "venv").string()) != std::string::npos);
  CHECK(none.problem().find('\n') == std::string::npos);
}

TEST_CASE("library search: dlopen's own rules come first") {
  const TemporaryFolder folder;
  const fs::path copy = put_library(folder / "venv/lib/python3.11/site-packages", "zlib", "libz.so.1");
  const DynamicLibrary system({"libz.so.1"}, {folder / "venv", "", "", ""});
  REQUIRE(system.is_open());
  CHECK(system.path() != copy);
  CHECK(system.path().is_absolute());
}

}  // namespace
}  // namespace kindred
