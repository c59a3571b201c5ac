// JSON from text, and as text. The JSON library's reader and writer are templates that take seconds to compile,
// so this file compiles them once for all others.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace kindred {

// The text must be JSON that Kindred itself has written; throws nlohmann::json::parse_error.
nlohmann::json parse_json(std::string_view text);

struct JsonLimits {
  int depth = 32;                             // of nested objects and lists
  std::size_t values = std::size_t{1} << 20;  // in the whole tree, including names
};

// For text from a file that may be hostile. Returns a discarded value (is_discarded()) if the text is not JSON or
// exceeds the limits: the JSON library's own parser builds a tree of any depth, and later walks over it (output,
// comparison) can overflow the stack. The tree may also be many times larger than the text.
nlohmann::json parse_hostile_json(std::string_view text, const JsonLimits& limits = {});

// The value on one line, or indented by `indent` spaces a level. File and class names may not be UTF-8: invalid
// parts become replacement characters.
std::string json_text(const nlohmann::json& value, int indent = -1);

// The text as a JSON string, in quotes; nullopt if it is not UTF-8.
std::optional<std::string> json_string(const std::string& text);

}  // namespace kindred
