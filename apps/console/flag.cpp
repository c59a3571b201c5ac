#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/data/sets/folders/dead_links.h>
#include <kindred/engine/error.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <CLI/CLI.hpp>

#include <algorithm>
#include <type_traits>

namespace kindred {
namespace {

constexpr const char* word_for_integer = "N";

// What a flag's variable holds: T itself, or the T of an optional or a list.
template <typename T>
struct FlagVariable {
  using Value = T;
  static constexpr bool is_list = false;
};
template <typename T>
struct FlagVariable<std::optional<T>> : FlagVariable<T> {};
template <typename T>
struct FlagVariable<std::vector<T>> {
  using Value = T;
  static constexpr bool is_list = true;
};

// The word for a text in --help.
std::string word_for_text(const std::string& help) {
  const auto says = [&](const char* words) { return help.find(words) != std::string::npos; };
  if (help.starts_with("folder ")) return "FOLDER";
  if (says(".safetensors")) return "FILE";
  const bool file = help.starts_with("file ") || says(" file");
  return file && !says("or a file") ? "FILE" : "VALUE";
}

template <typename Value>
std::string word_for_value([[maybe_unused]] const std::string& help) {
  if constexpr (std::is_same_v<Value, std::string>)
    return word_for_text(help);
  else if constexpr (std::is_same_v<Value, bool>)
    return "VALUE";
  else
    return std::is_integral_v<Value> ? word_for_integer : "NUMBER";
}

void add_to_help(CLI::Option& option, const std::string& words) {
  const std::string help = option.get_description();
  option.description(help.empty() ? words : help + "; " + words);
}

}  // namespace

// ---- a flag's variable, its word in --help, and how its text is read

template <typename T>
Flag CommandLine::add(const std::string& names, T& value, const std::string& help) {
  using Value = typename FlagVariable<T>::Value;
  CLI::Option* const option = app_->add_option(names, value, help);
  option->type_name(option->get_positional() ? "" : word_for_value<Value>(help));
  if constexpr (!FlagVariable<T>::is_list) option->take_last();
  if constexpr (std::is_arithmetic_v<Value> && !std::is_same_v<Value, bool>)
    option->transform(
        [option](const std::string& text) { return checked_number<Value>(option->get_name(), text); });
  if constexpr (std::is_same_v<Value, bool>)
    option->transform([option](const std::string& text) -> std::string {
      if (text != "on" && text != "off") refuse_value(option->get_name(), text, "on or off");
      return text;
    });
  return Flag(option);
}

template <typename T>
Flag CommandLine::add_switch(const std::string& names, T& value, const std::string& help) {
  CLI::Option* const option = app_->add_flag(names, value, help);
  option->take_last();
  option->transform([option](const std::string& text) -> std::string {
    if constexpr (std::is_same_v<T, bool>) {
      bool read = false;
      if (!CLI::detail::lexical_cast(text, read))
        refuse_value(option->get_name(), text, "no value, or =true or =false");
      return text;
    } else {
      return checked_number<T>(option->get_name(), text);
    }
  });
  return Flag(option);
}

Flag CommandLine::add_switch_with_text(const std::string& names, std::string& value, const std::string& help) {
  CLI::Option* const option = app_->add_flag(names, value, help);
  option->take_last();
  may_have_value_.push_back(option->get_name());
  return Flag(option);
}

// ---- the rules of a flag

Flag& Flag::required(bool is_so) {
  option_->required(is_so);
  return *this;
}

Flag& Flag::shows_default() {
  option_->capture_default_str();
  return *this;
}

Flag& Flag::shows_default(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Flag& Flag::separated_by(char separator) {
  option_->delimiter(separator);
  return *this;
}

Flag& Flag::one_each() {
  option_->expected(1)->allow_extra_args(false);
  option_->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Flag& Flag::excludes(const Flag& other) {
  option_->excludes(other.option_);
  return *this;
}

Flag& Flag::needs(const Flag& other) {
  option_->needs(other.option_);
  return *this;
}

// The checks of a flag run before those of add(), so that an error says all that is expected.
Flag& Flag::within(double least, double most) {
  const std::string expected = option_->get_type_name() == word_for_integer
                                   ? fmt::format("an integer from {:.0f} to {:.0f}", least, most)
                                   : fmt::format("a number from {} to {}", least, most);
  add_to_help(*option_, expected);
  option_->transform([option = option_, least, most, expected](const std::string& text) {
    long double number = 0;
    if (!read_number(text, number) || !(number >= least && number <= most))
      refuse_value(option->get_name(), text, expected);
    return text;
  });
  return *this;
}

// This check runs after those of add(), so that the text is a number.
Flag& Flag::within(const NumberRange& range) {
  add_to_help(*option_, range.expected);
  option_->check([option = option_, &range](const std::string& text) -> std::string {
    long double number = 0;
    const bool is_inside = read_number(text, number) && range.holds(static_cast<double>(number));
    check(is_inside, ExitCode::usage, "{} {}: expected {}", option->get_name(), text, range.expected);
    return "";
  });
  return *this;
}

Flag& Flag::one_of(std::initializer_list<const char*> texts) {
  const std::vector<std::string> known(texts.begin(), texts.end());
  const std::string expected = fmt::format("one of {}", fmt::join(known, ", "));
  add_to_help(*option_, expected);
  option_->transform([option = option_, known, expected](const std::string& text) {
    if (std::find(known.begin(), known.end(), text) == known.end())
      refuse_value(option->get_name(), text, expected);
    return text;
  });
  return *this;
}

Flag& Flag::writes_file() {
  option_->check([option = option_](const std::string& text) -> std::string {
    if (!is_dead_link(text)) return "";
    fail(ExitCode::usage, "{} {}: {}; a file would take the place of the link: remove it, or give another name",
         option->get_name(), text, dead_link_text(text));
  });
  return *this;
}

template Flag CommandLine::add(const std::string&, int&, const std::string&);
template Flag CommandLine::add(const std::string&, unsigned&, const std::string&);
template Flag CommandLine::add(const std::string&, std::int64_t&, const std::string&);
template Flag CommandLine::add(const std::string&, std::uint64_t&, const std::string&);
template Flag CommandLine::add(const std::string&, double&, const std::string&);
template Flag CommandLine::add(const std::string&, std::string&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<int>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<std::int64_t>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<std::uint64_t>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<bool>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<double>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::optional<std::string>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::vector<int>&, const std::string&);
template Flag CommandLine::add(const std::string&, std::vector<std::string>&, const std::string&);
template Flag CommandLine::add_switch(const std::string&, bool&, const std::string&);
template Flag CommandLine::add_switch(const std::string&, int&, const std::string&);

}  // namespace kindred
