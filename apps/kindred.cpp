// The main() of every program. An executable that is linked with one program, as those of the build tree are, is that
// program. `kindred` is linked with all of them, and finds the one that is meant by its own name, if it was started
// through a link, or by its first word: `kindred pretrain DIR --out RUN`.
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/typed_flags.h>
#include <kindred/apps/processes/foreign_launchers.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {
namespace {

// Programs that can train as several processes. They look themselves at how they were started (apps/processes/start.h).
constexpr std::string_view of_many_processes[] = {"pretrain", "linear_probe"};

// Throws Error(usage) if mpirun or another launcher has started several of a program that works alone.
void check_starts_once(const Program& program, int argc, char** argv) {
  const bool only_says = std::any_of(argv, argv + argc, [](const std::string_view argument) {
    return argument == "--help" || argument == "-h" || argument == "--version";
  });
  const bool may_be_many = std::find(std::begin(of_many_processes), std::end(of_many_processes),
                                     program.name()) != std::end(of_many_processes);
  if (!only_says && !may_be_many) refuse_foreign_launch(program.name());
  if (may_be_many) let_rank_0_speak();
}

const Program* program_named(const std::string& word) {
  if (word.empty()) return nullptr;
  for (const Program* const program : Program::all())
    if (word == program->name() || word == program->other_name()) return program;
  return nullptr;
}

// The program of this executable, whatever its first argument is; null if the first argument decides.
const Program* program_of_executable(int argc, char** argv) {
  if (Program::all().size() == 1) return Program::all().front();
  const std::string path = argc > 0 ? argv[0] : "";
  return program_named(path.substr(path.rfind('/') + 1));
}

void print_help() {
  fmt::print(
      "Trains image encoders by supervised contrastive learning, and uses them.\n"
      "Usage: kindred PROGRAM [ARGUMENTS]\n"
      "\nPrograms:\n");
  for (const Program* const program : Program::all())
    fmt::print("  {:<17} {}\n", program->name(), program->summary());
  fmt::print(
      "\n  kindred help PROGRAM   lists the flags of a program, like kindred PROGRAM --help\n"
      "  kindred --version      says which libraries are used\n");
}

[[noreturn]] void refuse_word(const std::string& word) {
  std::vector<std::string> names;
  for (const Program* const program : Program::all()) {
    names.emplace_back(program->name());
    if (*program->other_name() != '\0') names.emplace_back(program->other_name());
  }
  const std::string nearest = nearest_word(word, names);
  fail(ExitCode::usage, "{}: no such program{} (see kindred --help)", word.empty() ? "''" : word,
       nearest.empty() ? "" : "; did you mean " + nearest + "?");
}

const Program& known_program(const std::string& word) {
  const Program* const program = program_named(word);
  if (program == nullptr) refuse_word(word);
  return *program;
}

int help(int argc, char** argv) {
  if (argc < 3) {
    print_help();
    return 0;
  }
  check(argc == 3, ExitCode::usage,
        "{}: one argument too many; kindred help takes PROGRAM (see kindred --help)", argv[3]);
  std::string flag = "--help";
  char* arguments[] = {argv[2], flag.data(), nullptr};
  return known_program(argv[2]).run_as_word(2, arguments);
}

int run_first_word(int argc, char** argv) {
  check(argc > 1, ExitCode::usage, "write kindred PROGRAM, for example kindred pretrain (see kindred --help)");
  const std::string word = argv[1];
  if (word == "help" || word == "--help" || word == "-h") return help(word == "help" ? argc : 2, argv);
  if (word == "--version") {
    fmt::print("{}\n", version_report());
    return 0;
  }
  check(!word.starts_with('-'), ExitCode::usage,
        "{}: a program comes first: kindred PROGRAM {} (see kindred --help)", word, word);
  const Program& program = known_program(word);
  check_starts_once(program, argc, argv);
  return program.run_as_word(argc - 1, argv + 1);
}

// Of an executable that is one program.
int run_own_program(int argc, char** argv) {
  const Program& program = *program_of_executable(argc, argv);
  check_starts_once(program, argc, argv);
  return program.run(argc, argv);
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  const bool is_one_program = kindred::program_of_executable(argc, argv) != nullptr;
  return kindred::run_main(argc, argv, is_one_program ? kindred::run_own_program : kindred::run_first_word);
}
