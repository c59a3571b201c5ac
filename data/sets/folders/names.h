// Names of folders and files: comparing and listing them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kindred::detail {

// The letters of ASCII in lower case; every other byte unchanged.
std::string lower_case(std::string_view text);

// "'cat', 'dog' and 3 more", with five names at most.
std::string quoted_names(const std::vector<std::string>& names);

// The names of `all` that are not in `without`. Both are sorted.
std::vector<std::string> names_without(const std::vector<std::string>& all,
                                       const std::vector<std::string>& without);

}  // namespace kindred::detail
