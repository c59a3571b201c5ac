// What run_main makes of exceptions that are not kindred::Error. Each case runs in a process of its own, because
// run_main changes signal handlers and buffers.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>  // defines: fork, pipe, dup2

#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <system_error>

namespace kindred {
namespace {

struct EndOfProgram {
  int code = -1;
  std::string error_output;
};

EndOfProgram end_of(int (*body)(int, char**)) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  std::fflush(stdout);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    std::string name = "folder/some_program";
    std::array<char*, 2> arguments{name.data(), nullptr};
    std::_Exit(run_main(1, arguments.data(), body));
  }
  ::close(ends[1]);
  EndOfProgram end;
  std::array<char, 512> buffer;
  for (ssize_t n; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    end.error_output.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  if (WIFEXITED(status)) end.code = WEXITSTATUS(status);
  return end;
}

int has_no_memory(int, char**) {
  throw std::bad_alloc();
}
int cannot_throw(int argc, char** argv) noexcept {
  return has_no_memory(argc, argv);
}
// Programs that have not all the flags which advice could name.
int has_only_image_size(int argc, char** argv) {
  CommandLine line("Does nothing.", "some_program");
  int size = 0;
  line.add("--image-size", size);
  line.parse(argc, argv);
  throw std::bad_alloc();
}
int has_only_batch_size(int argc, char** argv) {
  CommandLine line("Does nothing.", "some_program");
  int size = 0;
  line.add("-b,--batch-size", size);
  line.parse(argc, argv);
  throw std::bad_alloc();
}
int has_no_device_memory(int, char**) {
  throw OutOfMemory("the pool is empty");
}
int has_no_memory_for_pictures(int, char**) {
  throw OutOfMemory("no picture fits", Cause::out_of_memory_loading);
}
int has_only_batch_size_and_a_picture(int argc, char** argv) {
  CommandLine line("Does nothing.", "some_program");
  int size = 0;
  line.add("-b,--batch-size", size);
  line.parse(argc, argv);
  throw OutOfMemory("no picture fits", Cause::out_of_memory_loading);
}
int gets_no_thread(int, char**) {
  throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
}
int has_another_problem(int, char**) {
  throw std::system_error(std::make_error_code(std::errc::invalid_argument));
}

TEST_CASE("main: without memory or threads a program ends with code 5 and says what to do") {
  const EndOfProgram memory = end_of(has_no_memory);
  CHECK(memory.code == 5);
  CHECK(memory.error_output ==
        "some_program: error: out of memory on the host; use a smaller --batch-size or --image-size\n");
  const EndOfProgram pool = end_of(has_no_device_memory);
  CHECK(pool.code == 5);
  CHECK(pool.error_output ==
        "some_program: error: the pool is empty; use a smaller --batch-size or --image-size\n");
  const EndOfProgram pictures = end_of(has_no_memory_for_pictures);
  CHECK(pictures.code == 5);
  CHECK(pictures.error_output == "some_program: error: no picture fits; use fewer --workers\n");
  const EndOfProgram threads = end_of(gets_no_thread);
  CHECK(threads.code == 5);
  CHECK(threads.error_output ==
        "some_program: error: no more threads can be started; raise the limit (ulimit -u, ulimit -v), or use "
        "fewer "
        "--workers and a smaller OMP_NUM_THREADS\n");
  CHECK(end_of(has_another_problem).code == 1);
}

TEST_CASE("main: advice names only flags that the program has") {
  CHECK(end_of(has_only_batch_size).error_output ==
        "some_program: error: out of memory on the host; use a smaller --batch-size\n");
  CHECK(
      end_of(has_only_batch_size_and_a_picture).error_output ==
      "some_program: error: no picture fits; use smaller copies of the largest pictures, or, where several are "
      "decoded at once, a smaller OMP_NUM_THREADS\n");
  const EndOfProgram none = end_of(has_only_image_size);
  CHECK(none.code == 5);
  CHECK(none.error_output == "some_program: error: out of memory on the host\n");
}

TEST_CASE("main: so it does if the exception cannot be caught") {
  const EndOfProgram end = end_of(cannot_throw);
  CHECK(end.code == 5);
  CHECK(end.error_output == "error: out of memory on the host; use a smaller --batch-size or --image-size\n");
}

}  // namespace
}  // namespace kindred
