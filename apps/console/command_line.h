// The command line of a program: which flags there are, and where their values go. A wrong flag ends with the
// same single line and exit code in every program.
//
// CLI11 does the work, and only command_line.cpp (all of the line) and flag.cpp (a single flag) include it: it takes
// nine seconds to compile. What it does not know about the flags that people type is in typed_flags.h.
#pragma once

#include <kindred/engine/error.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace kindred {

// The numbers that a flag accepts, said once for --help, for errors and for checks.
struct NumberRange {
  const char* expected;  // "0 or more"
  double least;
  double most = std::numeric_limits<double>::infinity();
  bool is_below_most = false;  // `most` itself is outside

  bool holds(double value) const {
    return std::isfinite(value) && value >= least && (is_below_most ? value < most : value <= most);
  }
};
inline constexpr NumberRange not_negative_numbers{"0 or more", 0}, positive_integers{"1 or more", 1},
    shares_below_one{"0 or more and below 1", 0, 1, true}, sides_in_pixels{"8 to 4096 pixels", 8, 4096},
    numbers_of_workers{"0 to 1024", 0, 1024};

// For a value that need not come from a flag. Throws Error(usage): "--lr -1: expected 0 or more".
template <typename T>
void check_range(const char* flag, const T& value, const NumberRange& range) {
  check(range.holds(static_cast<double>(value)), ExitCode::usage, "{} {}: expected {}", flag, value,
        range.expected);
}

// One flag or argument, for rules beyond its name. Each function returns the flag, so that they can be chained.
class Flag {
 public:
  Flag& required(bool is_so = true);
  Flag& shows_default();  // the value of now, in --help
  Flag& shows_default(const std::string& text);
  Flag& separated_by(char separator);  // for lists: "1,2,3"
  Flag& one_each();                    // for lists: each value is typed behind the flag's name
  Flag& excludes(const Flag& other);
  Flag& needs(const Flag& other);
  // All three also put what they accept into --help.
  Flag& within(double least, double most);  // for a number
  Flag& within(const NumberRange& range);   // it must outlive the parsing
  Flag& one_of(std::initializer_list<const char*> texts);
  // For the name of a file that the program writes: it may not be a link to something that is not there, because the file
  // would take the link's place.
  Flag& writes_file();

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
  // returned; it keeps its value if the flag is not given. No flag takes an empty value. If the flag is given twice, the
  // last value counts; a list grows. T: an integer, double, string, an optional of these, or a list of strings or integers.
  //
  // --help shows the kind of the value: N for an integer, NUMBER for a double, FILE or FOLDER for a text if `help`
  // says so, and VALUE for any other text.
  template <typename T>
  Flag add(const std::string& names, T& value, const std::string& help = "");
  // A flag without a value. With "--views{8}", a flag that may have one ("--views=4") and means 8 if it has none.
  template <typename T>
  Flag add_switch(const std::string& names, T& value, const std::string& help = "");
  // A switch that may have a text: "--resume" or "--resume=RUN". `value` becomes "true" if it has none. An argument
  // behind it is its text only if the program has no other place for it (typed_flags.h).
  Flag add_switch_with_text(const std::string& names, std::string& value, const std::string& help);
  // "--quiet", which parse() obeys (messages/quiet.h). The program says where its results begin: results_follow().
  void add_quiet();
  // "--seed": an integer that a JSON file can store exactly.
  void add_seed(std::uint64_t& seed, const std::string& help);

  Flag find(const std::string& name);  // "--out"
  // The flag says what the argument would say: if it is typed, the argument is not, and has the flag's last value. `advice`
  // ends the error about an argument that was typed beside it.
  void in_place_of(const std::string& argument, const std::string& flag, const std::string& advice);

  // For a flag that says where values of other flags come from: `read` is called with its value, if it was given one,
  // before the other flags set theirs.
  void read_first(const std::string& name, std::function<void(const std::string& value)> read);

  // `complete` is called before anything is read, with the arguments as plain_arguments() gives them (typed_flags.h). It may
  // add those that others imply.
  void complete_first(std::function<void(std::vector<std::string>& plain)> complete);

  // `act` is called at the end of parse(), when all flags have their values, if the program continues.
  void when_parsed(std::function<void()> act);
  // After parse(): whether the flag or argument was typed. "--out", "DIR"
  bool has(const std::string& name) const;

  // Returns an exit code if the program should end at once (--help, --version), and nullopt if it should continue.
  // Throws Error(usage) for arguments that cannot be understood: first for a flag that there is not.
  std::optional<int> parse(int argc, const char* const* argv);
  // After parse(): the command as it was typed, as words of a shell.
  std::string typed() const;

 private:
  struct FirstReader {
    std::string flag;
    std::function<void(const std::string& value)> read;
  };

  std::unique_ptr<CLI::App> app_;
  struct Replacement {
    std::string argument, flag, advice;
  };
  // Returns the arguments with the one that a flag stands for, as the first of those that are no flags.
  std::vector<std::string> with_replaced_argument(const std::vector<std::string>& plain,
                                                  std::size_t places) const;

  std::string program_;
  std::optional<Replacement> replacement_;
  std::vector<std::string> typed_;                                 // without the program
  std::vector<std::string> may_have_value_;                        // names of switches
  std::function<void(std::vector<std::string>& plain)> complete_;  // may be empty
  std::vector<FirstReader> first_readers_;
  std::vector<std::function<void()>> when_parsed_;
  bool quiet_ = false;
};

}  // namespace kindred
