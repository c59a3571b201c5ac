// Internal to data/: what lists that people write have in common.
#pragma once

#include <cstddef>
#include <string_view>

namespace kindred::detail {

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";  // with which some editors begin a text
inline constexpr std::size_t longest_path = 4096;                    // bytes; Linux opens no longer one

}  // namespace kindred::detail
