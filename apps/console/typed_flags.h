// Flags as people type them: mistyped, in the spelling of another program, with their value left out, and with numbers that
// are none.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

// The one of `known` that is nearest to a mistyped word: the fewest letters inserted, removed, replaced or exchanged with
// their neighbour. "" if all are more than a third of the word's letters away.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

struct KnownFlag {
  std::vector<std::string> names{};  // as in --help: "-b", "--batch-size"; the last one is a long name
  std::string value{};               // the word for its value in --help: "N"; empty for a switch
  bool may_have_value = false;       // a switch that may have one: "--resume" or "--resume=RUN"
  bool is_required = false;          // the program does not run without it
};

// Returns the arguments with the names of `flags`, and each value in its flag's argument: "--batch-size=8" for
// "-b 8", "-b8" and "--batch_size 8". If --help or --version was typed, returns that one alone. Arguments that are
// no flags stay as they are: "-", "-1", "-.5", and everything from "--" on.
//
// The program takes `places` arguments that are no flags. If there is one more, an argument behind a flag that may have
// a value is its value: pretrain, which takes DIR, reads "--resume DIR" without a value, and "DIR --resume RUN" with one.
//
// `flags` stand in the order of --help. Throws Error(usage):
//   for a name that no flag has, with the nearest name that one has; this comes before all other errors
//   for a flag whose value is missing or empty; a value that begins with "--" is one only behind "="
std::vector<std::string> plain_arguments(const std::vector<std::string>& typed,
                                         const std::vector<KnownFlag>& flags,
                                         std::size_t places = std::numeric_limits<std::size_t>::max());

// The value of a flag in plain arguments, or nullopt if it has none.
std::optional<std::string> value_in(const std::vector<std::string>& plain, const std::string& flag);

// The argument for an error message, so that an empty one can be seen.
std::string shown_argument(const std::string& text);
// Throws Error(usage): "--lr fast: expected a number (see --help)".
[[noreturn]] void refuse_value(const std::string& flag, const std::string& text, const std::string& expected);

// Returns false if the text is more than a number, or none. A long double has room for every 64-bit integer.
bool read_number(const std::string& text, long double& number);
// Returns the text of a number in a form that CLI11 reads as we do. CLI11 alone would take "010" for eight, nothing
// for 0, and an integer that is too large for the largest one. Throws as refuse_value(). Value: an integer or double.
template <typename Value>
std::string checked_number(const std::string& flag, const std::string& text);

}  // namespace kindred
