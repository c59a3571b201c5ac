#include <kindred/apps/metrics/visible_text.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

std::string with_visible_controls(const std::string& text, bool keeps_lines) {
  // The JSON library replaces what is not UTF-8.
  const std::string valid = parse_json(json_text(text)).get<std::string>();
  std::string visible;
  for (const char c : valid) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n' && keeps_lines)
      visible += c;
    else if (c == '\t' || c == '\n' || c == '\r')
      visible += c == '\t' ? "\\t" : c == '\n' ? "\\n" : "\\r";
    else if (byte < 0x20 || byte == 0x7f)
      visible += fmt::format("\\x{:02x}", byte);
    else
      visible += c;
  }
  return visible;
}

}  // namespace

std::string visible_text(const std::string& text) {
  return with_visible_controls(text, false);
}

std::string visible_lines(const std::string& text) {
  return with_visible_controls(text, true);
}

}  // namespace kindred
