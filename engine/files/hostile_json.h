// Parses JSON from a file that may be hostile. The JSON library's own parser builds a tree of any depth, and
// later walks over it (dump, comparison) can overflow the stack. The tree may also be many times larger than
// the text.
#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string_view>

namespace kindred {

struct JsonLimits {
  int depth = 32;                             // of nested objects and lists
  std::size_t values = std::size_t{1} << 20;  // in the whole tree, including names
};

// Returns a discarded value (is_discarded()) if the text is not JSON or exceeds the limits.
nlohmann::json parse_hostile_json(std::string_view text, const JsonLimits& limits = {});

}  // namespace kindred
