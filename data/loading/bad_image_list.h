// The images of a loader that were not ok, each once, and how many of them are accepted. Internal to the loader.
#pragma once

#include <kindred/data/loading/sample_reader.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace kindred {

class BadImageList {
 public:
  // LoaderOptions::max_bad and strict.
  BadImageList(std::int64_t max_bad, bool strict) : max_bad_(max_bad), strict_(strict) {}

  // Throws Error(data) if the image is new and no such image is accepted, or not as many as there are now.
  void add(BadImage&& image);
  // Adds all, and then judges them as add() does.
  void add_all(std::vector<BadImage> images);

  std::vector<BadImage> images() const;  // in ascending order of index
  std::size_t size() const { return by_index_.size(); }

 private:
  const BadImage* list(BadImage&& image);  // its entry if it is new, otherwise null
  void check_accepted(const BadImage& newest) const;

  std::int64_t max_bad_;
  bool strict_;
  std::map<std::int64_t, BadImage> by_index_;
  std::int64_t rejected_ = 0;
};

}  // namespace kindred
