#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <stdexcept>

namespace kindred {

nlohmann::json parse_json(std::string_view text) {
  return nlohmann::json::parse(text);
}

nlohmann::json parse_hostile_json(std::string_view text, const JsonLimits& limits) {
  std::size_t values = 0;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > limits.depth || ++values > limits.values) throw std::length_error("beyond the limits");
    return true;
  };
  try {
    return nlohmann::json::parse(text, watch, false);
  } catch (const std::length_error&) {
    return nlohmann::json::value_t::discarded;
  }
}

std::string json_text(const nlohmann::json& value, int indent) {
  return value.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::optional<std::string> json_string(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    return std::nullopt;
  }
}

}  // namespace kindred
