#include <kindred/apps/console/typed_flags.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace kindred {
namespace {

// Names that timm, torchvision's training script or SupContrast have for flags of ours. docs/running.md lists them.
constexpr std::pair<std::string_view, std::string_view> other_spellings[] = {
    {"-o", "--out"},
    {"--output", "--out"},
    {"--arch", "--model"},
    {"--pretrained", "--weights"},
    {"--img-size", "--image-size"},
    {"--size", "--image-size"},
    {"--learning-rate", "--lr"},
    {"--opt", "--optimizer"},
    {"--wd", "--weight-decay"},
    {"--lr-warmup-epochs", "--warmup-epochs"},
    {"--warmup-lr", "--warmup-start-lr"},
    {"--temp", "--temperature"},
    {"--smoothing", "--label-smoothing"},
    {"--num-workers", "--workers"},
};

bool looks_like_flag(const std::string& text) {
  return text.size() > 1 && text[0] == '-' && text[1] != '.' && (text[1] < '0' || text[1] > '9');
}

std::string with_hyphens(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

const KnownFlag* flag_named(std::string_view name, const std::vector<KnownFlag>& flags) {
  for (const KnownFlag& flag : flags)
    if (std::find(flag.names.begin(), flag.names.end(), name) != flag.names.end()) return &flag;
  return nullptr;
}

// The flag that a typed name means, or null.
const KnownFlag* flag_meant_by(const std::string& typed, const std::vector<KnownFlag>& flags) {
  const std::string name = with_hyphens(typed);
  if (const KnownFlag* const flag = flag_named(name, flags)) return flag;
  for (const auto& [spelling, ours] : other_spellings)
    if (name == spelling) return flag_named(ours, flags);
  return nullptr;
}

struct TypedFlag {
  std::string name{};      // as typed: "--learning_rate"
  bool has_value = false;  // in the same argument: "--lr=0.1", "-b8", "-b=8"
  std::string value{};
  const KnownFlag* known = nullptr;  // null: there is no such flag
};

TypedFlag read_typed_flag(const std::string& text, const std::vector<KnownFlag>& flags) {
  TypedFlag typed;
  const std::size_t equals = text.find('=', 2);
  typed.name = text.substr(0, equals);
  typed.has_value = equals != std::string::npos;
  if (typed.has_value) typed.value = text.substr(equals + 1);
  typed.known = flag_meant_by(typed.name, flags);
  if (typed.known != nullptr || text.starts_with("--")) return typed;
  // "-out" is a long name without its second hyphen, and not "-o ut".
  const KnownFlag* const letter = flag_meant_by(text.substr(0, 2), flags);
  const bool takes_value = letter != nullptr && !letter->value.empty();
  if (takes_value && flag_meant_by("-" + typed.name, flags) == nullptr)
    return {text.substr(0, 2), true, text.substr(2), letter};
  return typed;
}

// The smallest number of edits that make one name the other. An edit inserts, removes or replaces a letter, or
// exchanges two neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  // The distances of the first i letters of `a` from all beginnings of `b`, for i and the two numbers before it.
  std::vector<std::size_t> two_before(b.size() + 1), before(b.size() + 1), now(b.size() + 1);
  std::iota(before.begin(), before.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = before[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      now[j] = std::min({before[j] + 1, now[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], two_before[j - 2] + 1);
    }
    two_before.swap(before);
    before.swap(now);
  }
  return before[b.size()];
}

// The long name that is nearest to a typed one, or "".
std::string nearest_name(const std::string& typed, const std::vector<KnownFlag>& flags) {
  std::string name = with_hyphens(typed);
  name.erase(0, std::min(name.find_first_not_of('-'), name.size()));
  std::vector<std::string> long_names;
  for (const KnownFlag& flag : flags)
    for (const std::string& known : flag.names)
      if (known.starts_with("--")) long_names.push_back(known.substr(2));
  const std::string nearest = nearest_word(name, long_names);
  return nearest.empty() ? "" : "--" + nearest;
}

std::string no_such_flag(const std::string& name, const std::vector<KnownFlag>& flags) {
  const std::string second_hyphen = "-" + name;
  const std::string meant =
      flag_meant_by(second_hyphen, flags) != nullptr ? second_hyphen : nearest_name(name, flags);
  return fmt::format("{}: no such flag{}", name, meant.empty() ? "" : "; did you mean " + meant + "?");
}

std::string empty_value(const TypedFlag& flag) {
  const std::string& word = flag.known->value;
  const std::string joint = flag.has_value ? "=" : " ";  // "--out=" or "--out ''"
  const std::string value = word.empty() ? "" : joint + word;
  return fmt::format("{0}{1}: the value is empty; write {0}{2}{3}", flag.name, flag.has_value ? "=" : " ''",
                     value, word.empty() || flag.known->is_required ? "" : ", or leave it out");
}

// `next` is the argument behind the flag, or empty if there is none.
std::string missing_value(const TypedFlag& flag, const std::string& next) {
  return fmt::format("{0}: its value is missing{1}; write {0} {2}", flag.name,
                     next.empty() ? "" : " before " + next, flag.known->value);
}

// Makes the argument behind a flag its value, if there is one.
void give_next_argument(std::vector<std::string>& plain, std::size_t flag) {
  const std::size_t next = flag + 1;
  if (next == plain.size() || looks_like_flag(plain[next])) return;
  plain[flag] += "=" + plain[next];
  plain.erase(plain.begin() + static_cast<std::ptrdiff_t>(next));
}

void keep_first(std::string& first, const std::string& text) {
  if (first.empty()) first = text;
}

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t limit = word.size() / 3 + 1;  // distances from here on are too large
  for (const std::string& other : known) {
    const std::size_t at_least = std::max(word.size(), other.size()) - std::min(word.size(), other.size());
    if (at_least >= limit) continue;  // also saves the work for an endless argument
    const std::size_t distance = edit_distance(word, other);
    if (distance >= limit) continue;
    limit = distance;
    nearest = other;
  }
  return nearest;
}

std::vector<std::string> plain_arguments(const std::vector<std::string>& typed,
                                         const std::vector<KnownFlag>& flags, std::size_t places) {
  std::vector<std::string> plain;
  std::string unknown, problem;              // the first of each
  std::size_t arguments = 0;                 // that are no flags
  std::optional<std::size_t> without_value;  // where in `plain` the last flag stands that may have one
  for (auto at = typed.begin(); at != typed.end(); ++at) {
    if (*at == "--") {
      arguments += static_cast<std::size_t>(typed.end() - at) - 1;
      plain.insert(plain.end(), at, typed.end());
      break;
    }
    if (!looks_like_flag(*at)) {
      ++arguments;
      plain.push_back(*at);
      continue;
    }
    const TypedFlag flag = read_typed_flag(*at, flags);
    if (flag.known == nullptr) {
      keep_first(unknown, no_such_flag(flag.name, flags));
      continue;
    }
    const std::string& name = flag.known->names.back();
    if (name == "--help" || name == "--version") return {name};
    if (flag.has_value) {
      if (flag.value.empty()) keep_first(problem, empty_value(flag));
      plain.push_back(name + "=" + flag.value);
      continue;
    }
    if (flag.known->value.empty()) {
      const auto next = std::next(at);
      if (flag.known->may_have_value && next != typed.end() && next->empty())
        keep_first(problem, empty_value(flag));
      if (flag.known->may_have_value) without_value = plain.size();
      plain.push_back(name);
      continue;
    }
    const auto next = std::next(at);
    if (next == typed.end()) {
      keep_first(problem, missing_value(flag, ""));
      break;
    }
    const bool is_letter = next->size() == 2 && flag_meant_by(*next, flags) != nullptr;
    if (is_letter || next->starts_with("--")) {
      keep_first(problem, missing_value(flag, *next));
      continue;
    }
    ++at;
    if (at->empty()) keep_first(problem, empty_value(flag));
    plain.push_back(name + "=" + *at);
  }
  check(unknown.empty(), ExitCode::usage, "{} (see --help)", unknown);
  check(problem.empty(), ExitCode::usage, "{} (see --help)", problem);
  if (arguments > places && without_value) give_next_argument(plain, *without_value);
  return plain;
}

std::optional<std::string> value_in(const std::vector<std::string>& plain, const std::string& flag) {
  const std::string beginning = flag + "=";
  std::optional<std::string> value;
  for (const std::string& argument : plain) {
    if (argument == "--") break;
    if (argument.starts_with(beginning)) value = argument.substr(beginning.size());
  }
  return value;
}

std::string shown_argument(const std::string& text) {
  return text.empty() ? "''" : text;
}

void refuse_value(const std::string& flag, const std::string& text, const std::string& expected) {
  fail(ExitCode::usage, "{} {}: expected {} (see --help)", flag, shown_argument(text), expected);
}

bool read_number(const std::string& text, long double& number) {
  char* end = nullptr;
  number = std::strtold(text.c_str(), &end);
  return !text.empty() && end == text.c_str() + text.size();
}

template <typename Value>
std::string checked_number(const std::string& flag, const std::string& text) {
  if constexpr (std::is_integral_v<Value>) {
    using Limits = std::numeric_limits<Value>;
    Value value = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc::result_out_of_range)
      refuse_value(flag, text, fmt::format("an integer from {} to {}", Limits::min(), Limits::max()));
    if (error != std::errc() || rest != end)
      refuse_value(flag, text, std::is_unsigned_v<Value> ? "an integer, 0 or more" : "an integer");
    return fmt::format("{}", value);
  } else {
    long double number = 0;
    if (!read_number(text, number)) refuse_value(flag, text, "a number");
    return text;
  }
}

template std::string checked_number<int>(const std::string&, const std::string&);
template std::string checked_number<unsigned>(const std::string&, const std::string&);
template std::string checked_number<std::int64_t>(const std::string&, const std::string&);
template std::string checked_number<std::uint64_t>(const std::string&, const std::string&);
template std::string checked_number<double>(const std::string&, const std::string&);

}  // namespace kindred
