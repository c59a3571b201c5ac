// Strict reading of small JSON files that people write. Every error is one line that names the file and the
// place in it.
#pragma once

#include <kindred/engine/error.h>

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kindred {

using Json = nlohmann::json;
using Range = std::pair<double, double>;  // both ends are allowed

// Where in a JSON file a value stands: the name of the file, and the path to the value, "steps[1].sigma".
struct JsonPath {
  const std::string& file;
  std::string path;

  JsonPath at(std::string_view key) const;
  JsonPath at(std::size_t index) const;

  template <typename... Args>
  [[noreturn]] void fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    complain(fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  [[noreturn]] void complain(const std::string& what) const;  // throws Error(file)
};

// Accepts at most 8 levels of nesting and only UTF-8, and rejects a key that occurs twice in an object.
Json parse_strictly(std::string_view text, const JsonPath& where);

// A value in a form that fits into an error message.
std::string shown(const Json& value);

// Returns the value, or throws an error about its type or size.
const std::string& text_of(const Json& value, const JsonPath& where);
const Json& list_of(const Json& value, const JsonPath& where, std::size_t least, std::size_t most);

// "a, b, c"
template <typename Names>
std::string joined(const Names& names) {
  std::string list;
  for (const auto& each : names) {
    if (!list.empty()) list += ", ";
    list += each;
  }
  return list;
}

// An object of the file. It hands out the values of its keys and rejects keys that the program did not ask for.
class Fields {
 public:
  Fields(const Json& value, JsonPath where);

  const JsonPath& where() const { return where_; }
  const Json* find(const char* key);
  const Json& require(const char* key);

  // Each of these leaves the value unchanged if the key is missing.
  void number(const char* key, Range range, double& value);
  void integer(const char* key, int low, int high, int& value);            // throws if out of range
  void interval(const char* key, Range range, double& low, double& high);  // "key": [low, high]

  // Throws an error if the object has keys that none of the functions above asked for.
  void done() const;

 private:
  const Json& value_;
  JsonPath where_;
  std::vector<std::string> known_;
};

}  // namespace kindred
