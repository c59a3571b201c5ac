#include <kindred/data/files/json_fields.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors_header.h>  // defines: printable

#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace kindred {
namespace {

constexpr int deepest = 8;

double number_of(const Json& value, const JsonPath& where, Range range) {
  const bool fits =
      value.is_number() && value.get<double>() >= range.first && value.get<double>() <= range.second;
  if (!fits)
    where.fail_here("expected a number from {:g} to {:g}, not {}", range.first, range.second, shown(value));
  return value.get<double>();
}

}  // namespace

JsonPath JsonPath::at(std::string_view key) const {
  return {file, path.empty() ? std::string(key) : fmt::format("{}.{}", path, key)};
}

JsonPath JsonPath::at(std::size_t index) const {
  return {file, fmt::format("{}[{}]", path, index)};
}

void JsonPath::complain(const std::string& what) const {
  fail(ExitCode::file, "{}: {}{}{}", file, path, path.empty() ? "" : ": ", what);
}

// The JSON library would keep the last of two equal keys and would build a tree of any depth.
Json parse_strictly(std::string_view text, const JsonPath& where) {
  std::vector<std::set<std::string>> open;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    const bool opens = event == Json::parse_event_t::object_start || event == Json::parse_event_t::array_start;
    if (opens && depth >= deepest) where.fail_here("more than {} levels deep", deepest);
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key && !open.back().insert(parsed.get<std::string>()).second)
      where.fail_here("{} is given twice in one object", printable(parsed.get_ref<const std::string&>()));
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& error) {
    where.fail_here("not JSON in UTF-8 (at byte {})", error.byte);
  } catch (const Json::out_of_range&) {
    where.fail_here("a number is too large");
  }
}

std::string shown(const Json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  if (value.is_string()) return printable(value.get_ref<const std::string&>());
  return json_text(value);
}

const std::string& text_of(const Json& value, const JsonPath& where) {
  if (!value.is_string()) where.fail_here("expected a text, not {}", shown(value));
  return value.get_ref<const std::string&>();
}

const Json& list_of(const Json& value, const JsonPath& where, std::size_t least, std::size_t most) {
  if (!value.is_array()) where.fail_here("expected a list, not {}", shown(value));
  if (value.size() < least || value.size() > most)
    where.fail_here("expected a list of {}, not of {}",
                    least == most ? fmt::format("{}", most) : fmt::format("{} to {}", least, most),
                    value.size());
  return value;
}

Fields::Fields(const Json& value, JsonPath where) : value_(value), where_(std::move(where)) {
  if (!value.is_object()) where_.fail_here("expected an object, not {}", shown(value));
}

const Json* Fields::find(const char* key) {
  known_.emplace_back(key);
  const auto found = value_.find(key);
  return found == value_.end() ? nullptr : &*found;
}

const Json& Fields::require(const char* key) {
  const Json* found = find(key);
  if (found == nullptr) where_.fail_here("\"{}\" is missing", key);
  return *found;
}

void Fields::number(const char* key, Range range, double& value) {
  if (const Json* given = find(key)) value = number_of(*given, where_.at(key), range);
}

void Fields::integer(const char* key, int low, int high, int& value) {
  const Json given = find(key) != nullptr ? value_.at(key) : Json(value);
  const bool fits = given.is_number_integer() && given.get<double>() >= low && given.get<double>() <= high;
  if (!fits) where_.at(key).fail_here("expected a whole number from {} to {}, not {}", low, high, shown(given));
  value = given.get<int>();
}

void Fields::interval(const char* key, Range range, double& low, double& high) {
  const Json* given = find(key);
  if (given == nullptr) return;
  const JsonPath where = where_.at(key);
  list_of(*given, where, 2, 2);
  low = number_of((*given)[0], where.at(std::size_t{0}), range);
  high = number_of((*given)[1], where.at(std::size_t{1}), range);
  if (low > high) where.fail_here("expected the smaller number first, not [{:g}, {:g}]", low, high);
}

void Fields::done() const {
  for (const auto& [key, value] : value_.items())
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      where_.fail_here("unknown key {}; known are {}", printable(key), joined(known_));
}

}  // namespace kindred
