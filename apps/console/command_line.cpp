#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/engine/error.h>

#include <CLI/CLI.hpp>

namespace kindred {

Flag& Flag::required() {
  option_->required();
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

Flag& Flag::excludes(const Flag& other) {
  option_->excludes(other.option_);
  return *this;
}

Flag& Flag::needs(const Flag& other) {
  option_->needs(other.option_);
  return *this;
}

Flag& Flag::within(double least, double most) {
  option_->check(CLI::Range(least, most));
  return *this;
}

Flag& Flag::one_of(std::initializer_list<const char*> texts) {
  option_->check(CLI::IsMember(std::vector<std::string>(texts.begin(), texts.end())));
  return *this;
}

Flag& Flag::not_empty(const std::string& expected) {
  option_->check([expected](const std::string& text) { return text.empty() ? expected : ""; });
  return *this;
}

CommandLine::CommandLine(const std::string& what_the_program_does, const std::string& program)
    : app_(std::make_unique<CLI::App>(what_the_program_does, program)) {
  app_->get_formatter()->column_width(34);
}

CommandLine::~CommandLine() = default;

template <typename T>
Flag CommandLine::add(const std::string& names, T& value, const std::string& help) {
  return Flag(app_->add_option(names, value, help));
}

template <typename T>
Flag CommandLine::add_switch(const std::string& names, T& value, const std::string& help) {
  return Flag(app_->add_flag(names, value, help));
}

void CommandLine::add_seed(std::uint64_t& seed, const std::string& help) {
  add("--seed", seed, help).shows_default().within(0, 9007199254740992.0);
}

Flag CommandLine::find(const std::string& name) {
  return Flag(app_->get_option(name));
}

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  app_->set_version_flag("--version", version_report);  // the last one in --help
  try {
    app_->parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // CLI11 throws this for --help and --version
    return app_->exit(success);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (char& c : message)
      if (c == '\n') c = ' ';
    fail(ExitCode::usage, "{} (see --help)", message);
  }
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
