// A measured number as text, which says "none" in place of one that is not finite.
#pragma once

#include <fmt/core.h>

#include <cmath>
#include <string>

namespace kindred {

// "0.25" with two decimals, or "none".
inline std::string figure_text(double value, int decimals) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "none";
}

}  // namespace kindred
