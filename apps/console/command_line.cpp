#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/engine/error.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <CLI/CLI.hpp>

#include <algorithm>
#include <sstream>
#include <utility>

namespace kindred {
namespace {

std::vector<KnownFlag> known_flags_of(const CLI::App& app, const std::vector<std::string>& may_have_value) {
  std::vector<KnownFlag> flags;
  for (const CLI::Option* const option : app.get_options()) {
    if (!option->nonpositional()) continue;
    KnownFlag flag;
    for (const std::string& letter : option->get_snames()) flag.names.push_back("-" + letter);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    if (option->get_items_expected_max() > 0) flag.value = option->get_type_name();
    flag.is_required = option->get_required();
    flag.may_have_value =
        std::find(may_have_value.begin(), may_have_value.end(), flag.names.back()) != may_have_value.end();
    flags.push_back(std::move(flag));
  }
  return flags;
}

// How many arguments the program takes that are no flags.
std::size_t places_of(const CLI::App& app) {
  std::size_t places = 0;
  for (const CLI::Option* const option : app.get_options())
    if (option->get_positional()) places += static_cast<std::size_t>(option->get_items_expected_max());
  return places;
}

// Throws if an argument is left over that belongs to no flag and has no name.
void check_nothing_is_left(const CLI::App& app) {
  if (app.remaining_size() == 0) return;
  const std::vector<std::string> left = app.remaining();
  const auto first =
      std::find_if(left.begin(), left.end(), [](const std::string& text) { return text != "--"; });
  std::vector<std::string> taken;
  for (const CLI::Option* const option : app.get_options())
    if (option->get_positional()) taken.push_back(option->get_name(true));
  fail(ExitCode::usage, "{}: one argument too many; {} takes {} (see --help)",
       first == left.end() ? "--" : shown_argument(*first), app.get_name(),
       taken.empty() ? "only flags" : fmt::format("{}", fmt::join(taken, " and ")));
}

}  // namespace

CommandLine::CommandLine(const std::string& what_the_program_does, const std::string& program)
    : app_(std::make_unique<CLI::App>(what_the_program_does, shown_program(program))), program_(program) {
  app_->get_formatter()->column_width(34);
}

CommandLine::~CommandLine() = default;

void CommandLine::add_quiet() {
  add_switch("--quiet", quiet_, "print only warnings, errors and the last lines");
}

void CommandLine::read_first(const std::string& name, std::function<void(const std::string& value)> read) {
  first_readers_.push_back({name, std::move(read)});
}

void CommandLine::complete_first(std::function<void(std::vector<std::string>& plain)> complete) {
  complete_ = std::move(complete);
}

void CommandLine::add_seed(std::uint64_t& seed, const std::string& help) {
  add("--seed", seed, help).shows_default().within(0, 9007199254740992.0);
}

void CommandLine::when_parsed(std::function<void()> act) {
  when_parsed_.push_back(std::move(act));
}

bool CommandLine::has(const std::string& name) const {
  return app_->get_option(name)->count() > 0;
}

Flag CommandLine::find(const std::string& name) {
  return Flag(app_->get_option(name));
}

void CommandLine::in_place_of(const std::string& argument, const std::string& flag, const std::string& advice) {
  replacement_ = Replacement{argument, flag, advice};
}

std::vector<std::string> CommandLine::with_replaced_argument(const std::vector<std::string>& plain,
                                                             std::size_t places) const {
  std::size_t arguments = 0;
  bool flags_end = false;
  for (const std::string& text : plain) {
    const bool is_argument = flags_end || !text.starts_with("--");
    flags_end |= text == "--";
    check(!is_argument || ++arguments <= places, ExitCode::usage,
          "{}: one argument too many: {} stands in the place of {}; {} (see --help)", shown_argument(text),
          replacement_->flag, replacement_->argument, replacement_->advice);
  }
  std::string value = *value_in(plain, replacement_->flag);
  check(!value.starts_with('-'), ExitCode::usage, "{} {}: write ./{} (see --help)", replacement_->flag, value,
        value);
  std::vector<std::string> complete{std::move(value)};
  complete.insert(complete.end(), plain.begin(), plain.end());
  return complete;
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  app_->set_version_flag("--version", version_report);  // the last one in --help
  typed_.assign(argv + std::min(argc, 1), argv + argc);
  const std::vector<KnownFlag> flags = known_flags_of(*app_, may_have_value_);
  std::vector<std::string> names;
  for (const KnownFlag& flag : flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  give_advice_for(std::move(names));
  const std::size_t places = places_of(*app_);
  std::vector<std::string> arguments = plain_arguments(typed_, flags, places);
  if (replacement_ && value_in(arguments, replacement_->flag))
    arguments = with_replaced_argument(plain_arguments(typed_, flags, places - 1), places - 1);
  if (complete_) complete_(arguments);
  give_advice_beside(arguments);
  for (const FirstReader& reader : first_readers_)
    if (const auto value = value_in(arguments, reader.flag)) reader.read(*value);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app_->parse(std::move(arguments));
    if (quiet_) print_only_warnings();
    for (const auto& act : when_parsed_) act();
    return std::nullopt;
  } catch (const CLI::Success& success) {  // CLI11 throws this for --help and --version
    std::ostringstream text;
    const int code = app_->exit(success, text, text);
    fmt::print("{}", text.str());  // unlike a stream, it throws if standard output takes nothing
    return code;
  } catch (const CLI::ParseError& error) {
    check_nothing_is_left(*app_);  // named before a required flag that is missing
    std::string message = error.what();
    for (char& c : message)
      if (c == '\n') c = ' ';
    fail(ExitCode::usage, "{} (see --help)", message);
  }
}

std::string CommandLine::typed() const {
  std::string command = command_of_program(program_);
  for (const std::string& argument : typed_) command += " " + shell_word(argument);
  return command;
}

}  // namespace kindred
