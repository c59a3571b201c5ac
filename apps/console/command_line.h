// The command line of a program: which flags there are, and where their values go. A wrong flag ends with the
// same single line and exit code in every program.
//
// CLI11 does the work, and only command_line.cpp includes it: it takes nine seconds to compile. What it does not
// know about the flags that people type is in typed_flags.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kindred {

// One flag or argument, for rules beyond its name. Each function returns the flag, so that they can be chained.
class Flag {
 public:
  Flag& required();
  Flag& shows_default();  // the value of now, in --help
  Flag& shows_default(const std::string& text);
  Flag& separated_by(char separator);  // for lists: "1,2,3"
  Flag& excludes(const Flag& other);
  Flag& needs(const Flag& other);
  // Both also put what they accept into --help.
  Flag& within(double least, double most);  // for a number
  Flag& one_of(std::initializer_list<const char*> texts);
  Flag& not_empty(const std::string& expected);  // `expected` is the error's text

 private:
  friend class CommandLine;
  explicit Flag(CLI::Option* option) : option_(option) {}
  CLI::Option* option_;
};

class CommandLine {
 public:
  CommandLine(const std::string& what_the_program_does, const std::string& program);
  ~CommandLine();

  // "-b,--batch-size" for a flag, "DIR" for an argument. A flag has a long name. `value` must live until parse() has
  // returned; it keeps its value if the flag is not given. If the flag is given twice, the last value counts; a list
  // grows. T: an integer, double, string, an optional of these, or a list of strings or integers.
  //
  // --help shows the kind of the value: N for an integer, NUMBER for a double, FILE or FOLDER for a text if `help`
  // says so, and VALUE for any other text.
  template <typename T>
  Flag add(const std::string& names, T& value, const std::string& help = "");
  // A flag without a value. With "--views{8}", a flag that may have one ("--views=4") and means 8 if it has none.
  template <typename T>
  Flag add_switch(const std::string& names, T& value, const std::string& help = "");
  // "--seed": an integer that a JSON file can store exactly.
  void add_seed(std::uint64_t& seed, const std::string& help);

  Flag find(const std::string& name);  // "--out"

  // Returns an exit code if the program should end at once (--help, --version), and nullopt if it should continue.
  // Throws Error(usage) for arguments that cannot be understood: first for a flag that there is not.
  std::optional<int> parse(int argc, const char* const* argv);

 private:
  std::unique_ptr<CLI::App> app_;
};

}  // namespace kindred
