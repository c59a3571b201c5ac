// Round numbers for the axes of charts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

// 0 and equal steps up to the first that is not below `largest`: steps of 1, 2 or 5 times a power of ten, at most `most` of them
// (2 or more). largest >= 0; for 0 it is {0, 1}.
std::vector<std::int64_t> round_ticks(std::int64_t largest, int most);

// "1,281,167"
std::string with_commas(std::int64_t number);

}  // namespace kindred
