// Names of values: a table has an entry {value, name} for each, so that every name stands in one place.
//
//   constexpr Named<Stem> stem_names[] = {{Stem::imagenet, "imagenet"}, {Stem::cifar, "cifar"}};
//
// Any array of entries with these two members is a table. A value may have several names; the first is the one
// that is written.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

namespace kindred {

template <typename T>
struct Named {
  T value;
  const char* name;
};

// The name of a value that is in the table.
template <typename Table, typename T>
constexpr const char* name_of(const Table& table, const T& value) {
  for (const auto& entry : table)
    if (entry.value == value) return entry.name;
  return "?";
}

// The entry of that name, or null.
template <typename Table>
constexpr auto* entry_named(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const auto& entry) { return std::string_view(entry.name) == name; });
  return found == std::end(table) ? nullptr : &*found;
}

// The value of that name, or nothing.
template <typename Table>
constexpr auto value_named(const Table& table, std::string_view name) {
  const auto* entry = entry_named(table, name);
  return entry == nullptr ? std::nullopt : std::optional(entry->value);
}

// All names: "a, b, c", or with " or " before the last one "a, b or c".
template <typename Table>
std::string names_of(const Table& table, std::string_view last = ", ", std::string_view between = ", ") {
  std::string text;
  for (auto entry = std::begin(table); entry != std::end(table); ++entry) {
    if (!text.empty()) text += std::next(entry) == std::end(table) ? last : between;
    text += entry->name;
  }
  return text;
}

}  // namespace kindred
