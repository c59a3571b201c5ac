// Finds shared libraries in places that the linker does not know. On most machines NVIDIA's libraries are part
// of Python packages, installed with PyTorch, and dlopen does not search there.
//
// No place is searched that anybody could write to. So there are no relative folders, hence never the working
// directory, and no folder that everybody may write to, nor one inside such a folder. The environment and the
// file system to search are arguments, so that a test can provide both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// The environment variables that decide where to search. An empty string means that the variable is not set.
struct SearchEnvironment {
  std::string virtual_env;   // $VIRTUAL_ENV: the active virtual environment
  std::string conda_prefix;  // $CONDA_PREFIX
  std::string path;          // $PATH, for python3
  std::string home;          // $HOME, for packages from `pip install --user`

  static SearchEnvironment of_process();
};

struct SearchPlace {
  std::string name;                            // for the user: "the virtual environment /home/me/venv"
  std::vector<std::filesystem::path> folders;  // existing folders that may hold libraries, most likely first
};

// The places in search order: the active virtual environment, conda's prefix, the packages of the python3 that
// $PATH finds. In each of them NVIDIA's wheels use <site-packages>/nvidia/*/lib.
std::vector<SearchPlace> package_places(const SearchEnvironment& environment);

// The same, by asking that python3 for its folders: if it is a script that selects among several installations,
// its folders cannot be derived from its path. Takes about ten milliseconds, at most `limit_ms`. Python reads
// nothing from the working directory. Returns no folders if there is no python3 or if it does not answer.
SearchPlace place_by_asking_python(const SearchEnvironment& environment, int limit_ms = 3000);

// Returns true if everybody may write to the file or to a folder above it, or may replace one of them. `/tmp`
// itself does not count for files that belong to this user or to root.
bool everybody_may_write(const std::filesystem::path& path);

struct LibrarySearch {
  std::vector<std::filesystem::path> found;  // files, in the order in which to try them
  std::vector<std::string> places;           // the names of the places that were searched
  std::vector<std::filesystem::path>
      unsafe;  // files that were found but rejected, because everybody may write there
};

// Searches those places for files called one of `names` (within a folder the first name has priority). Python
// is asked only if nothing is found otherwise.
LibrarySearch search_packages(const std::vector<std::string>& names, const SearchEnvironment& environment);

}  // namespace kindred
