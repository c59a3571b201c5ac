#include <kindred/data/sets/fingerprint.h>

#include <fmt/core.h>
#include <xxhash.h>

#include <cstdint>
#include <string_view>

namespace kindred {

std::string data_fingerprint(const Dataset& dataset) {
  std::uint64_t hash = 0;
  const auto add = [&](std::string_view text) { hash = XXH3_64bits_withSeed(text.data(), text.size(), hash); };
  for (const std::string& name : dataset.class_names()) add(name);
  std::string line;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    line = dataset.source().id(i);
    line += fmt::format("\n{}", dataset.label(i));
    add(line);
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace kindred
