// A flag whose value is one of several names.
#pragma once

#include <kindred/engine/error.h>
#include <kindred/engine/names.h>

#include <string>

namespace kindred {

// The value that `text` names in a table (engine/names.h). Throws Error(usage), which lists the names.
template <typename Table>
auto choice(const char* flag, const std::string& text, const Table& table) {
  if (const auto value = value_named(table, text)) return *value;
  fail(ExitCode::usage, "{} {}: expected one of {}", flag, text, names_of(table));
}

}  // namespace kindred
