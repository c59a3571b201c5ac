#include <kindred/third_party/search/library_search.h>

#include <fcntl.h>     // defines: O_RDONLY
#include <poll.h>      // defines: poll
#include <spawn.h>     // defines: posix_spawn
#include <sys/stat.h>  // defines: lstat
#include <sys/wait.h>  // defines: waitpid
#include <unistd.h>    // defines: access, environ, geteuid

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::string of_environment(const char* name) {
  const char* value = secure_getenv(name);
  return value == nullptr ? "" : value;
}

// The folders in `folder`, sorted by name; empty if it cannot be read.
std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (std::error_code unknown; it->is_directory(unknown)) found.push_back(it->path());
  std::sort(found.begin(), found.end());
  return found;
}

// 311 for "python3.11", 300 for "python3", -1 for anything else.
int python_version(const std::string& name) {
  constexpr std::string_view start = "python3";
  if (!name.starts_with(start)) return -1;
  const std::string rest = name.substr(start.size());
  if (rest.empty()) return 300;
  if (rest[0] != '.' || rest.size() < 2 || rest.size() > 4) return -1;
  int minor = 0;
  for (const char c : rest.substr(1)) {
    if (c < '0' || c > '9') return -1;
    minor = 10 * minor + (c - '0');
  }
  return 300 + minor;
}

void add_new(std::vector<fs::path>& list, const fs::path& path) {
  if (std::find(list.begin(), list.end(), path) == list.end()) list.push_back(path);
}

// Where a Python that is installed under `prefix` has its packages, newest version first.
std::vector<fs::path> package_folders(const fs::path& prefix) {
  std::vector<fs::path> found;
  for (const char* lib : {"lib", "lib64", "local/lib", "local/lib64"}) {  // the last two are for Debian's pip
    std::vector<std::pair<int, fs::path>> pythons;
    for (const fs::path& folder : folders_in(prefix / lib))
      if (const int version = python_version(folder.filename()); version >= 0)
        pythons.emplace_back(-version, folder);
    std::sort(pythons.begin(), pythons.end());
    for (const auto& [version, folder] : pythons)
      for (const char* packages : {"site-packages", "dist-packages"})
        if (std::error_code error; fs::is_directory(folder / packages, error))
          found.push_back(folder / packages);
  }
  return found;
}

// nvidia/cudnn/lib, nvidia/cublas/lib, nvidia/cu13/lib and all others that NVIDIA's wheels installed.
void add_libraries_of(const fs::path& packages, std::vector<fs::path>& folders) {
  for (const fs::path& component : folders_in(packages / "nvidia"))
    if (std::error_code error; fs::is_directory(component / "lib", error)) add_new(folders, component / "lib");
}

void add_libraries_under(const fs::path& prefix, std::vector<fs::path>& folders) {
  for (const fs::path& packages : package_folders(prefix)) add_libraries_of(packages, folders);
}

// The prefix of the Python that a virtual environment was made with, from the line "home = /usr/bin" of its
// pyvenv.cfg; empty if there is no such line.
fs::path base_of(const fs::path& environment) {
  std::ifstream file(environment / "pyvenv.cfg");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key, equals, home;
    if (words >> key >> equals && key == "home" && equals == "=" && std::getline(words >> std::ws, home))
      return fs::path(home).is_absolute() ? fs::path(home).parent_path() : fs::path();
  }
  return {};
}

// The first python3 of $PATH; empty if there is none.
fs::path python_of(const std::string& path) {
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (folder.empty() || folder[0] != '/') continue;
    const fs::path python = fs::path(folder) / "python3";
    std::error_code error;
    if (fs::is_regular_file(python, error) && ::access(python.c_str(), X_OK) == 0) return python;
  }
  return {};
}

SearchPlace place_of_python(const fs::path& python, const std::string& home) {
  SearchPlace place{"the packages of " + python.string(), {}};
  const fs::path environment = python.parent_path().parent_path();
  std::error_code error;
  if (fs::exists(environment / "pyvenv.cfg", error)) add_libraries_under(environment, place.folders);
  if (!home.empty() && home[0] == '/') add_libraries_under(fs::path(home) / ".local", place.folders);
  const fs::path real = fs::canonical(python, error);
  if (!error) add_libraries_under(real.parent_path().parent_path(), place.folders);
  if (const fs::path base = base_of(environment); !base.empty()) add_libraries_under(base, place.folders);
  return place;
}

// The output of the program within `limit_ms`; empty if it fails or takes longer. In that case it is killed.
std::string output_of(const std::vector<std::string>& command, int limit_ms) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return "";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;  // a process group, so that the children of a script are killed too
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const bool started =
      ::posix_spawn(&child, arguments[0], &actions, &attributes, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  ::close(ends[1]);

  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(limit_ms);
  std::string text;
  bool whole = false;
  while (started && text.size() < 65536) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd readable{ends[0], POLLIN, 0};
    if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) break;
    char buffer[4096];
    const ssize_t count = ::read(ends[0], buffer, sizeof buffer);
    if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
    whole = count == 0;
    if (count <= 0) break;
  }
  ::close(ends[0]);
  if (!started) return "";
  if (!whole) ::kill(-child, SIGKILL);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return whole && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : "";
}

// Returns true if everybody can replace one of the folders on the way to `path`.
bool has_open_step(const fs::path& path) {
  fs::path so_far;
  bool shared = false;  // the folder above is like /tmp: everybody may add files and remove their own
  for (const fs::path& part : path) {
    so_far /= part;
    struct stat status {};
    if (::lstat(so_far.c_str(), &status) != 0) return true;
    if (shared && status.st_uid != geteuid() && status.st_uid != 0) return true;
    const bool is_open = (status.st_mode & S_IWOTH) != 0 && !S_ISLNK(status.st_mode);
    shared = is_open && S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    if (is_open && !shared) return true;
  }
  return false;
}

}  // namespace

SearchEnvironment SearchEnvironment::of_process() {
  return {of_environment("VIRTUAL_ENV"), of_environment("CONDA_PREFIX"), of_environment("PATH"),
          of_environment("HOME")};
}

std::vector<SearchPlace> package_places(const SearchEnvironment& environment) {
  std::vector<SearchPlace> places;
  if (const fs::path prefix = environment.virtual_env; prefix.is_absolute()) {
    SearchPlace& place = places.emplace_back("the virtual environment " + prefix.string());
    add_libraries_under(prefix, place.folders);
  }
  if (const fs::path prefix = environment.conda_prefix; prefix.is_absolute()) {
    SearchPlace& place = places.emplace_back("conda's prefix " + prefix.string());
    if (std::error_code error; fs::is_directory(prefix / "lib", error)) place.folders.push_back(prefix / "lib");
    add_libraries_under(prefix, place.folders);
  }
  if (const fs::path python = python_of(environment.path); !python.empty())
    places.push_back(place_of_python(python, environment.home));
  return places;
}

SearchPlace place_by_asking_python(const SearchEnvironment& environment, int limit_ms) {
  const fs::path python = python_of(environment.path);
  if (python.empty()) return {};
  SearchPlace place{"the packages of " + python.string(), {}};
  if (everybody_may_write(python)) return place;
  // -I: Python loads no module from the working directory and ignores variables that name other folders.
  const std::string answer =
      output_of({python.string(), "-I", "-c",
                 "import site\nfor p in [site.getusersitepackages()] + site.getsitepackages(): print(p)"},
                limit_ms);
  std::istringstream lines(answer);
  for (std::string line; std::getline(lines, line);)
    if (fs::path(line).is_absolute()) add_libraries_of(line, place.folders);
  return place;
}

bool everybody_may_write(const fs::path& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);  // also check where symbolic links lead
  return error || !path.is_absolute() || has_open_step(path.lexically_normal()) || has_open_step(real);
}

LibrarySearch search_packages(const std::vector<std::string>& names, const SearchEnvironment& environment) {
  LibrarySearch result;
  const auto search = [&](const SearchPlace& place) {
    for (const fs::path& folder : place.folders)
      for (const std::string& name : names) {
        const fs::path file = folder / name;
        std::error_code error;
        if (!fs::is_regular_file(file, error)) continue;
        add_new(everybody_may_write(file) ? result.unsafe : result.found, file);
      }
  };
  for (const SearchPlace& place : package_places(environment)) {
    result.places.push_back(place.name);
    search(place);
  }
  if (result.found.empty()) search(place_by_asking_python(environment));
  return result;
}

}  // namespace kindred
