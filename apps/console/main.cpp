#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/progress.h>
#include <kindred/engine/cpu/waiting.h>
#include <kindred/engine/error.h>

#include <malloc.h>        // defines: mallopt
#include <sys/resource.h>  // defines: getrlimit

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

constexpr const char* no_host_memory = "out of memory on the host";
const std::terminate_handler ordinary_end = std::get_terminate();

// How the user started this process.
struct ProcessStart {
  std::string program = "kindred";  // as messages begin
  std::string folder;               // that was typed before the program's name, with its last '/'; empty: none
  bool by_word = false;             // `kindred pretrain`
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
  // A program that was asked to end has not failed.
  const char* const kind = code == ExitCode::interrupted ? "" : "error: ";
  std::fprintf(stderr, "%s: %s%s\n", this_start().program.c_str(), kind, one_line(message).c_str());
  return static_cast<int>(code);
}

// An exception that nothing can catch (in a destructor, or in a library's thread) ends the program. If memory was
// exhausted, this says so. It must do without memory itself.
[[noreturn]] void end_uncaught() {
  try {
    if (const std::exception_ptr error = std::current_exception()) std::rethrow_exception(error);
  } catch (const std::bad_alloc&) {
    const char* const help = advice(Cause::out_of_memory);
    std::fprintf(stderr, "error: %s%s%s\n", no_host_memory, *help == '\0' ? "" : "; ", help);
    std::_Exit(static_cast<int>(ExitCode::device));
  } catch (...) {
  }
  ordinary_end();
  std::abort();
}

// glibc's allocator reserves 64 MiB of addresses for every thread that asks it for memory, up to eight times per core,
// and uses little of them. A limit of the address space (`ulimit -v`) counts what is reserved, so a run could end
// although most of its memory was never touched, and when would depend on the number of cores. Under such a limit all
// threads share one arena, which reserves nothing ahead. They wait for each other a little: pieces of up to a kilobyte
// are kept by thread, and large ones come from the system. MALLOC_ARENA_MAX does not change this.
void share_one_arena() {
#ifdef M_ARENA_MAX
  rlimit addresses{};
  if (::getrlimit(RLIMIT_AS, &addresses) == 0 && addresses.rlim_cur != RLIM_INFINITY) ::mallopt(M_ARENA_MAX, 1);
#endif
}

bool processor_is_supported() {
#ifdef __AVX2__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

}  // namespace

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

int Program::run_alone(int argc, char** argv) const {
  return run_main(argc, argv, body_);
}

std::string shown_program(const std::string& name) {
  return this_start().by_word ? "kindred " + name : name;
}

std::string command_of_program(const std::string& name) {
  if (this_start().by_word) return shell_word(this_start().folder + "kindred") + " " + name;
  return shell_word(this_start().folder + name);
}

int run_main(int argc, char** argv, ProgramBody body) {
  std::set_terminate(end_uncaught);
  share_one_arena();  // before there are threads
  const std::string typed = argc > 0 ? argv[0] : "kindred";
  const std::size_t name_begins = typed.rfind('/') + 1;  // 0 without a '/'
  this_start().folder = typed.substr(0, name_begins);
  this_start().program = typed.substr(name_begins);
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
  try {
    return body(argc, argv);
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
