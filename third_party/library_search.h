// Where shared libraries lie that no linker knows of: NVIDIA's come to most machines inside Python packages,
// with PyTorch, and dlopen does not look there.
//
// Nothing is searched that anybody could fill: no relative folder, so never the working directory, and no
// folder in which, or in a parent of which, everybody may write. All is asked of the environment and the file
// system that are given, so that a test can lay out both.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// What decides where is searched, as it stands in the environment; empty: not set.
struct SearchEnvironment {
  std::string virtual_env;   // $VIRTUAL_ENV: the virtual environment that is active
  std::string conda_prefix;  // $CONDA_PREFIX
  std::string path;          // $PATH, for python3
  std::string home;          // $HOME, for what `pip install --user` installed

  static SearchEnvironment of_process();
};

struct SearchPlace {
  std::string name;                            // for the user: "the virtual environment /home/me/venv"
  std::vector<std::filesystem::path> folders;  // that are there and may hold libraries, the likeliest first
};

// In the order in which they are to be searched: the active virtual environment, conda's prefix, the packages
// of the python3 that $PATH finds. In each: <site-packages>/nvidia/*/lib, as NVIDIA's wheels have it.
std::vector<SearchPlace> package_places(const SearchEnvironment& environment);

// The same by asking that python3 for its folders: where it is a script that chooses among several, its folders
// cannot be told from its path. Takes some ten milliseconds, at most `limit_ms`; python reads nothing of the
// working directory. No folders where there is no python3 or it does not answer.
SearchPlace place_by_asking_python(const SearchEnvironment& environment, int limit_ms = 3000);

// Whether everybody may write to the file or a folder above it, or put another in its place. `/tmp` itself does
// not count where what lies in it belongs to this user or to root.
bool everybody_may_write(const std::filesystem::path& path);

struct LibrarySearch {
  std::vector<std::filesystem::path> found;  // files, in the order in which they should be tried
  std::vector<std::string> places;           // the names of those that were searched
  std::vector<std::filesystem::path>
      unsafe;  // files that were there and passed over: everybody may write there
};

// Files called one of `names` (the first is preferred to the second in one folder) in those places. Python is
// asked only where nothing is found without it.
LibrarySearch search_packages(const std::vector<std::string>& names, const SearchEnvironment& environment);

}  // namespace kindred
