#include <kindred/engine/files/hostile_json.h>

#include <stdexcept>

namespace kindred {

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

}  // namespace kindred
