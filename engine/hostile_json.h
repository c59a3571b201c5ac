// JSON from a file that may be hostile. The library's own parser builds a tree of any depth, which whoever
// walks it afterwards (dump, comparison) pays for with the stack, and of many times the text's size.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string_view>

namespace kindred {

struct JsonLimits {
  int depth = 32;                             // of objects and lists within each other
  std::size_t values = std::size_t{1} << 20;  // in the whole tree, names included
};

// A discarded value (is_discarded()) when the text is no JSON or goes beyond the limits.
nlohmann::json parse_hostile_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace kindred
