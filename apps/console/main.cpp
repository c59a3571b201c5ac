#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/ending/made_folders.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/progress.h>
#include <kindred/engine/cpu/targets.h>
#include <kindred/engine/cpu/waiting.h>
#include <kindred/engine/error.h>

#include <errno.h>         // defines: program_invocation_short_name
#include <malloc.h>        // defines: mallopt
#include <signal.h>        // defines: sigaction, sigaltstack
#include <sys/mman.h>      // defines: mmap
#include <sys/resource.h>  // defines: getrlimit
#include <unistd.h>        // defines: pause, write

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr const char* no_host_memory = "out of memory on the host";
std::terminate_handler ordinary_end = nullptr;
bool has_begun = false;  // run_main(): before that, only what the system says is known

// How the user started this process.
struct ProcessStart {
  std::string program = "kindred";  // as messages begin
  std::string folder;               // that was typed before the program's name, with its last '/'; empty: none
  bool by_word = false;             // `kindred pretrain`
  std::vector<std::string> command{};
  ProcessEnd end{};
};

ProcessStart& this_start() {
  static ProcessStart start;
  return start;
}

std::vector<const Program*>& linked_programs() {
  static std::vector<const Program*> list;
  return list;
}

int end_with(ExitCode code, const std::string& message) {
  std::fflush(stdout);
  if (this_start().end.failed)
    this_start().end.failed(code, message);
  else
    std::fprintf(stderr, "%s\n", last_line(code, message).c_str());
  return static_cast<int>(code);
}

// Runs the body, and after it what a process of many does at a good end, whose errors are errors of the program too.
int run_to_its_end(int argc, char** argv, ProgramBody body) {
  cpu_target();  // so that a KINDRED_CPU that means nothing is refused before anything begins
  const int code = body(argc, argv);
  if (!this_start().end.finished) return code;
  std::fflush(stdout);
  return this_start().end.finished(code);
}

bool is_limited(decltype(RLIMIT_AS) resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

bool addresses_are_limited() {
  return is_limited(RLIMIT_AS) || is_limited(RLIMIT_DATA);
}

// glibc's allocator reserves 64 MiB of addresses for every thread that asks it for memory, up to eight times per core,
// and uses little of them. A limit of the address space (`ulimit -v`) counts what is reserved, so a run could end
// although most of its memory was never touched, and when would depend on the number of cores. Under such a limit all
// threads share one arena, which reserves nothing ahead. They wait for each other a little: pieces of up to a kilobyte
// are kept by thread, and large ones come from the system. MALLOC_ARENA_MAX does not change this.
void share_one_arena() {
#ifdef M_ARENA_MAX
  if (addresses_are_limited()) ::mallopt(M_ARENA_MAX, 1);
#endif
}

void write_to_error(const char* text) {
  for (std::size_t left = std::strlen(text); left > 0;) {
    const ssize_t written = ::write(STDERR_FILENO, text, left);
    if (written <= 0) return;
    text += written;
    left -= static_cast<std::size_t>(written);
  }
}

const char* help_with_memory() {
  return has_begun ? advice(Cause::out_of_memory) : "raise it";
}

bool has_no_memory() {
  // In bytes: more than a library takes at once for code or a table, so that nothing is left if it did not get it.
  constexpr std::size_t little = std::size_t{4} << 20;
  void* const block = ::mmap(nullptr, little, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return true;
  ::munmap(block, little);
  return false;
}

// Asks only the system, and reads what is there.
[[noreturn]] void end_with_memory_line() {
  static std::atomic_flag is_said = ATOMIC_FLAG_INIT;
  while (is_said.test_and_set()) ::pause();  // another thread ends the program
  const char* const help = help_with_memory();
  write_to_error(has_begun ? this_start().program.c_str() : program_invocation_short_name);
  write_to_error(": error: ");
  write_to_error(no_host_memory);
  write_to_error(is_limited(RLIMIT_AS) ? " (ulimit -v leaves no more)" : " (ulimit -d leaves no more)");
  if (*help != '\0') write_to_error("; ");
  write_to_error(help);
  write_to_error("\n");
  remove_empty_made_folders();
  std::_Exit(static_cast<int>(ExitCode::device));
}

// Runs in the place where the fault was.
void end_without_memory(int signal, siginfo_t*, void*) {
  if (has_no_memory()) end_with_memory_line();
  std::signal(signal, SIG_DFL);  // memory was there, so the fault is what it seems, and happens again
}

// An exception that nothing can catch (in a destructor, or in a library's thread) ends the program. If memory was
// exhausted, this says so. It must do without memory itself.
[[noreturn]] void end_uncaught() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
    // There was no room for the exception itself.
    if (addresses_are_limited() && has_no_memory()) end_with_memory_line();
  } catch (const std::bad_alloc&) {
    const char* const help = help_with_memory();
    std::fprintf(stderr, "error: %s%s%s\n", no_host_memory, *help == '\0' ? "" : "; ", help);
    remove_empty_made_folders();
    std::_Exit(static_cast<int>(ExitCode::device));
  } catch (...) {
  }
  if (ordinary_end != nullptr) ordinary_end();
  std::abort();
}

// Libraries take memory before main(): protobuf, and the CUDA runtime, which does not look whether it has room for the list
// of its kernels. What the system calls here comes before them all.
void watch_before_libraries() {
  ordinary_end = std::set_terminate(end_uncaught);
  watch_for_missing_memory();
}
using StartFunction = void (*)();
[[gnu::section(".preinit_array"), gnu::used]] const StartFunction called_first = watch_before_libraries;

bool processor_is_supported() {
#ifdef __AVX2__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

}  // namespace

void watch_for_missing_memory() {
  struct sigaction present {};
  const bool is_handled = ::sigaction(SIGSEGV, nullptr, &present) != 0 || present.sa_handler != SIG_DFL;
  if (is_handled || !addresses_are_limited()) return;
  // The main thread's own stack may be what could not grow.
  static std::array<char, std::size_t{1} << 16> stack;
  stack_t other{};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  ::sigaltstack(&other, nullptr);
  struct sigaction action {};
  action.sa_sigaction = end_without_memory;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigaction(SIGSEGV, &action, nullptr);
  ::sigaction(SIGBUS, &action, nullptr);
}

Program::Program(const char* name, const char* summary, ProgramBody body, const char* other_name)
    : name_(name), summary_(summary), body_(body), other_name_(other_name) {
  linked_programs().push_back(this);
}

const std::vector<const Program*>& Program::all() {
  return linked_programs();
}

int Program::run_as_word(int argc, char** argv) const {
  this_start().by_word = true;
  this_start().program = shown_program(name_);
  return body_(argc, argv);
}

int Program::run(int argc, char** argv) const {
  return body_(argc, argv);
}

void set_process_end(ProcessEnd end) {
  this_start().end = std::move(end);
}

std::string last_line(ExitCode code, const std::string& message) {
  // A program that was asked to end has not failed.
  const char* const kind = code == ExitCode::interrupted ? "" : "error: ";
  return this_start().program + ": " + kind + one_line(message);
}

const std::vector<std::string>& started_as() {
  return this_start().command;
}

std::string command_of_this_program() {
  const std::string& program = this_start().program;
  const std::size_t word = std::min(program.find(' '), program.size());
  return shell_word(this_start().folder + program.substr(0, word)) + program.substr(word);
}

std::string shown_program(const std::string& name) {
  return this_start().by_word ? "kindred " + name : name;
}

std::string command_of_program(const std::string& name) {
  if (this_start().by_word) return shell_word(this_start().folder + "kindred") + " " + name;
  return shell_word(this_start().folder + name);
}

int run_main(int argc, char** argv, ProgramBody body) {
  share_one_arena();  // before there are threads
  const std::string typed = argc > 0 ? argv[0] : "kindred";
  const std::size_t name_begins = typed.rfind('/') + 1;  // 0 without a '/'
  this_start().folder = typed.substr(0, name_begins);
  this_start().program = typed.substr(name_begins);
  this_start().command.assign(argv, argv + argc);
  if (!processor_is_supported())
    return end_with(ExitCode::device,
                    "this build needs a processor with AVX2; build with -DKINDRED_ARCH=x86-64 for older ones");
  // Writing to a closed pipe, or beyond a file size limit, must be reported as an error and not kill the
  // program.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  // A pipe or a file gets every line at once, so that a log shows what happened before the program was killed.
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);
  const AdaptiveWaiting waiting;
  give_advice_for({});
  has_begun = true;
  try {
    return run_to_its_end(argc, argv, body);
  } catch (const Error& error) {
    return end_with(error.code(), message_with_advice(error));
  } catch (const std::bad_alloc&) {
    return end_with(ExitCode::device,
                    message_with_advice(Error(ExitCode::device, no_host_memory, Cause::out_of_memory)));
  } catch (const std::system_error& error) {
    if (error.code() == std::errc::resource_unavailable_try_again && std::ferror(stdout) == 0)  // std::thread
      return end_with(ExitCode::device,
                      message_with_advice(
                          Error(ExitCode::device, "no more threads can be started", Cause::out_of_threads)));
    if (std::ferror(stdout) == 0) return end_with(ExitCode::internal, error.what());
    return end_with(ExitCode::io,  // fmt cannot print
                    std::string("standard output: ") + error.what() + "; send it to another place");
  } catch (const std::exception& error) {
    return end_with(ExitCode::internal, error.what());
  }
}

}  // namespace kindred
