#include <kindred/apps/survey/charts/round_numbers.h>

#include <algorithm>

namespace kindred {

std::vector<std::int64_t> round_ticks(std::int64_t largest, int most) {
  std::int64_t step = 1;
  for (int digit = 1; (largest + step - 1) / step > most; digit = digit == 1 ? 2 : digit == 2 ? 5 : 1)
    step = digit == 2 ? step / 2 * 5 : step * 2;
  std::vector<std::int64_t> ticks{0};
  while (ticks.back() < std::max<std::int64_t>(1, largest)) ticks.push_back(ticks.back() + step);
  return ticks;
}

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  const auto first_digit = static_cast<std::ptrdiff_t>(number < 0 ? 1 : 0);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > first_digit; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return text;
}

}  // namespace kindred
