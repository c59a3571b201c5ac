// Strict reading of small JSON files that people write: every complaint is one line that names the file and the
// place in it.
#pragma once

#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kindred {

using Json = nlohmann::json;
using Range = std::pair<double, double>;  // both ends allowed

// Where in a file we are: its name and the path to a value, "steps[1].sigma".
struct Place {
  const std::string& file;
  std::string path;

  Place at(std::string_view key) const;
  Place at(std::size_t index) const;

  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    complain(fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  [[noreturn]] void complain(const std::string& what) const;  // Error(file)
};

// At most 8 levels deep, UTF-8, no key twice in an object.
Json parse_strictly(std::string_view text, const Place& place);

// A value as a message may show it.
std::string shown(const Json& value);

// The value, or a complaint about its type or size.
const std::string& text_of(const Json& value, const Place& place);
const Json& list_of(const Json& value, const Place& place, std::size_t least, std::size_t most);

// "a, b, c"
template <typename Names>
std::string joined(const Names& names, std::string_view between = ", ") {
  std::string list;
  for (const auto& each : names) {
    if (!list.empty()) list += between;
    list += each;
  }
  return list;
}

// An object of the file: hands out the values of its keys, and refuses those that nobody asked for.
class Fields {
 public:
  Fields(const Json& value, Place place);

  const Place& place() const { return place_; }
  const Json* find(const char* key);
  const Json& require(const char* key);

  // Each leaves its value as it is where the key is not given.
  void number(const char* key, Range range, double& value);
  void integer(const char* key, int low, int high, int& value);  // complains when that is out of range
  void interval(const char* key, Range range, double& low, double& high);  // "key": [low, high]

  // Complains about keys that none of the above asked for.
  void done() const;

 private:
  const Json& value_;
  Place place_;
  std::vector<std::string> known_;
};

}  // namespace kindred
