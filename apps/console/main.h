// What every program does around its own work: it turns an error into one line and a documented exit code, and
// prints line by line, also into a pipe or a file. Also the list of the programs, which `kindred` starts by a word.
#pragma once

#include <kindred/engine/error.h>

#include <functional>
#include <string>
#include <vector>

namespace kindred {

using ProgramBody = int (*)(int argc, char** argv);

// A program: `pretrain DIR --out RUN`, or `kindred pretrain DIR --out RUN`. Its source, apps/<name>.cpp, has one static
// object of this class, whose constructor puts it on the list of the programs that this executable is linked with.
class Program {
 public:
  // `summary` is one clause for `kindred --help`. `other_name` finds the program too; "" if it has one name.
  Program(const char* name, const char* summary, ProgramBody body, const char* other_name = "");
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  const char* name() const { return name_; }
  const char* other_name() const { return other_name_; }
  const char* summary() const { return summary_; }
  // Runs the program as a word of `kindred`: argv[0] is the word. Call it within run_main(); from now on messages begin
  // with "kindred <name>".
  int run_as_word(int argc, char** argv) const;
  int run(int argc, char** argv) const;  // as the only program of an executable, within run_main()

  static const std::vector<const Program*>& all();  // in the order in which they are linked

 private:
  const char* name_;
  const char* summary_;
  ProgramBody body_;
  const char* other_name_;
};

// Runs body(argc, argv). If it throws a kindred::Error, or any other exception, prints one line on standard
// error and returns an exit code of engine/error.h. There is never a stack trace. Under a limit of the address space
// (`ulimit -v`, `ulimit -d`) all threads share one arena of the allocator. To be called before threads are started.
int run_main(int argc, char** argv, ProgramBody body);

// Under a limit of the address space, libraries may write to memory that they did not get: oneDNN, for one, does not look
// whether it has room for the code that it makes. From now on such a fault ends the program with a line about the memory and
// ExitCode::device, if the limit leaves no memory; any other fault stays one. Does nothing without a limit, or if something
// else handles faults. run_main() calls it.
void watch_for_missing_memory();

// How a process ends that is one of several (apps/processes/ending.h). Until it is set, a process is alone.
struct ProcessEnd {
  // Called in place of printing last_line(); if it returns, the process ends with `code`.
  std::function<void(ExitCode code, const std::string& message)> failed{};
  // Called when the body has returned `code`; returns the code that this process gives. May be empty.
  std::function<int(int code)> finished{};
};
void set_process_end(ProcessEnd end);

// The line with which a program ends: "pretrain: error: <message>"; without "error" if it was asked to end.
std::string last_line(ExitCode code, const std::string& message);

// The command of this process as it was started: program, word of `kindred`, flags.
const std::vector<std::string>& started_as();
// Its beginning, for advice: "build/release/apps/pretrain", "kindred pretrain".
std::string command_of_this_program();

// A program's name as messages and --help show it: "kindred linear_probe" if this process was started by a word of
// `kindred`, otherwise "linear_probe".
std::string shown_program(const std::string& name);

// What the user types to start a program, for advice that can be pasted into a shell: the same behind the folder in which
// the user found this program, "build/release/apps/linear_probe".
std::string command_of_program(const std::string& name);

}  // namespace kindred
