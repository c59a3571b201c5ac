#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/main.h>
#include <kindred/engine/error.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

namespace kindred {
namespace {

// Prints one line, whatever names it contains: control characters become question marks.
int report(const char* program, ExitCode code, std::string message) {
  std::fflush(stdout);
  for (char& c : message)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  std::fprintf(stderr, "%s: error: %s\n", program, message.c_str());
  return static_cast<int>(code);
}

bool processor_is_supported() {
#ifdef __AVX2__
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return true;
#endif
}

}  // namespace

int run_main(int argc, char** argv, int (*body)(int, char**)) {
  const std::string program = std::filesystem::path(argc > 0 ? argv[0] : "kindred").filename().string();
  if (!processor_is_supported())
    return report(program.c_str(), ExitCode::device,
                  "this build needs a processor with AVX2; build with -DKINDRED_ARCH=x86-64 for older ones");
  // Writing to a closed pipe, or beyond a file size limit, must be reported as an error and not kill the
  // program.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return body(argc, argv);
  } catch (const Error& error) {
    return report(program.c_str(), error.code(), message_with_advice(error));
  } catch (const std::bad_alloc&) {
    return report(program.c_str(), ExitCode::device,
                  std::string("out of memory on the host; ") + advice(Cause::out_of_memory));
  } catch (const std::exception& error) {
    return report(program.c_str(), ExitCode::internal, error.what());
  }
}

}  // namespace kindred
