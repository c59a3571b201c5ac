// What run_main makes of exceptions that are not kindred::Error. Each case runs in a process of its own, because
// run_main changes signal handlers and buffers.
#include "../pseudo_files.h"

#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/models/resnet.h>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>  // defines: fork, pipe, dup2

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

namespace kindred {
namespace {

struct EndOfProgram {
  int code = -1;
  std::string error_output;
};

// On two threads, with the limits that written files name: none without them.
EndOfProgram end_of(int (*body)(int, char**), const std::filesystem::path& limits = "/nowhere") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  std::fflush(stdout);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::setenv("KINDRED_PSEUDO_FILES", limits.c_str(), 1);
    set_compute_threads(2);
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
int has_no_gpu_memory(int, char**) {
  throw OutOfMemory("out of memory: 98 MiB more were asked for, and the GPU has 5 of 99 MiB free");
}
int cannot_decode(int, char**) {
  throw OutOfMemory("x.png is too large; use smaller copies", Cause::other);
}
// Programs whose flags were given with these values.
std::vector<std::string> given;
void have_all_flags() {
  give_advice_for({"-b", "--batch-size", "--image-size", "--untrained", "-j", "--workers"});
  give_advice_beside(given);
}
int has_all_flags(int, char**) {
  have_all_flags();
  throw std::bad_alloc();
}
int has_all_flags_and_a_picture(int, char**) {
  have_all_flags();
  throw OutOfMemory("no picture fits", Cause::out_of_memory_loading);
}
int has_all_flags_and_no_thread(int, char**) {
  have_all_flags();
  throw Error(ExitCode::device, "no threads", Cause::out_of_threads);
}
int trains_without_memory(int, char**) {
  give_advice_for({"--batch-size", "--image-size", "--loss"});
  give_advice_beside(given);
  throw std::bad_alloc();
}
int gets_typed_flags(int, char**) {
  CommandLine line("Does nothing.", "some_program");
  std::int64_t size = 0, side = 0, workers = 0;
  line.add("-b,--batch-size", size);
  line.add("--image-size", side);
  line.add("-j,--workers", workers);
  const std::array<const char*, 6> typed{"some_program", "-b1", "--img_size", "8", "--num-workers", "0"};
  line.parse(static_cast<int>(typed.size()), typed.data());
  throw std::bad_alloc();
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
        "some_program: error: out of memory on the host; use a smaller --batch-size, --image-size or fewer "
        "--workers\n");
  const EndOfProgram pool = end_of(has_no_device_memory);
  CHECK(pool.code == 5);
  CHECK(
      pool.error_output ==
      "some_program: error: the pool is empty; use a smaller --batch-size, --image-size or fewer --workers\n");
  const EndOfProgram pictures = end_of(has_no_memory_for_pictures);
  CHECK(pictures.code == 5);
  CHECK(pictures.error_output == "some_program: error: no picture fits; use fewer --workers\n");
  const EndOfProgram threads = end_of(gets_no_thread);
  CHECK(threads.code == 5);
  CHECK(threads.error_output ==
        "some_program: error: no more threads can be started; use fewer --workers or a smaller "
        "OMP_NUM_THREADS; if that is not enough: raise the limit of threads (ulimit -u)\n");
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
  CHECK(end.error_output ==
        "error: out of memory on the host; use a smaller --batch-size, --image-size or fewer --workers\n");
}

// Written files with the limits of a process, of which it has used nothing.
void write_limits(const std::filesystem::path& root, const std::string& lines) {
  write_pseudo_file(root, "proc/self/limits", lines);
  write_pseudo_file(root, "proc/self/status", "VmSize:\t 0 kB\nVmData:\t 0 kB\n");
}

constexpr const char* narrow_addresses =
    "Max address space         92160000             unlimited            bytes\n";

TEST_CASE("advice: no flag is named whose value is the smallest, and the limit is the last way out") {
  const TemporaryFolder root;
  const std::string line = "some_program: error: out of memory on the host; ";
  const auto told = [&](const std::vector<std::string>& arguments, auto* body, const auto&... limits) {
    given = arguments;
    const EndOfProgram end = end_of(body, limits...);
    CHECK(end.code == 5);
    return end.error_output;
  };
  const std::vector<std::string> large{"--batch-size=64", "--image-size=224", "--untrained=resnet50"};
  CHECK(told(large, has_all_flags) ==
        line +
            "use a smaller --batch-size, --image-size, a smaller model (--untrained resnet20) or fewer "
            "--workers\n");
  CHECK(told({"--batch-size=1", "--image-size=224", "--workers=0", "--untrained=resnet20"}, has_all_flags) ==
        line + "use a smaller --image-size\n");
  CHECK(told({"--batch-size=2", "--image-size=8", "--workers=0"}, has_all_flags) ==
        line + "use a smaller --batch-size\n");
  CHECK(told({"--batch-size=1", "--image-size=8", "--workers=0", "--untrained=resnet18"}, has_all_flags) ==
        line + "use a smaller model (--untrained resnet20)\n");
  const std::vector<std::string> smallest{"--batch-size=1", "--image-size=8", "--workers=0",
                                          "--untrained=resnet20"};
  CHECK(told(smallest, has_all_flags) ==
        line + "all sizes are the smallest already: a machine with more memory is needed\n");

  write_limits(root.path, narrow_addresses);
  const std::string limit = "ulimit -v allows 87.9 MiB; raise it\n";
  CHECK(told(smallest, has_all_flags, root.path) == line + limit);
  CHECK(told(large, has_all_flags, root.path) ==
        line +
            "use a smaller --batch-size, --image-size, a smaller model (--untrained resnet20) or fewer "
            "--workers; if that is not enough: " +
            limit);
  CHECK(told(smallest, cannot_decode, root.path) ==
        "some_program: error: x.png is too large; use smaller copies; if that is not enough: " + limit);
  // The limit of the host is not that of a GPU, and no more are the threads that load.
  CHECK(
      told(smallest, has_no_gpu_memory, root.path) ==
      "some_program: error: out of memory: 98 MiB more were asked for, and the GPU has 5 of 99 MiB free; use a "
      "smaller --batch-size or --image-size\n");
}

TEST_CASE("advice: a loss that compares images needs two of them") {
  const auto told = [](const std::vector<std::string>& arguments) {
    given = arguments;
    return end_of(trains_without_memory).error_output;
  };
  const std::string line = "some_program: error: out of memory on the host; ";
  CHECK(told({"--batch-size=2"}) == line + "use a smaller --image-size\n");
  CHECK(told({"--batch-size=3"}) == line + "use a smaller --batch-size or --image-size\n");
  CHECK(told({"--batch-size=2", "--loss=cross_entropy"}) ==
        line + "use a smaller --batch-size or --image-size\n");
  CHECK(told({"--batch-size=1", "--loss=cross_entropy"}) == line + "use a smaller --image-size\n");
}

TEST_CASE("advice: threads and pictures, where nothing loads beside the main thread, and under which limit") {
  const TemporaryFolder root;
  given = {"--workers=0"};
  CHECK(
      end_of(has_all_flags_and_a_picture).error_output ==
      "some_program: error: no picture fits; use smaller copies of the largest pictures, or, where several are "
      "decoded at once, a smaller OMP_NUM_THREADS\n");
  const auto told = [&](const std::string& limits) {
    write_limits(root.path, limits);
    return end_of(has_all_flags_and_no_thread, root.path).error_output;
  };
  const std::string line =
      "some_program: error: no threads; use a smaller OMP_NUM_THREADS; if that is not enough: ";
  CHECK(told(narrow_addresses) == line + "ulimit -v allows 87.9 MiB; raise it\n");
  CHECK(told("Max data size  92160000  unlimited  bytes\n") == line + "ulimit -d allows 87.9 MiB; raise it\n");
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/job\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/job/pids.max", "12\n");
  CHECK(told("") == line + "pids.max of the control group allows 12 processes; raise it\n");
  CHECK(told(narrow_addresses) ==
        line +
            "ulimit -v allows 87.9 MiB, and pids.max of the control group allows 12 processes; raise them\n");
  CHECK(told("Max stack size  1073741824  unlimited  bytes\n") ==
        "some_program: error: no threads; use a smaller OMP_NUM_THREADS or a smaller ulimit -s; if that is not "
        "enough: pids.max of the control group allows 12 processes; raise it\n");
}

TEST_CASE("advice: a command line says which values it has, however they were typed") {
  CHECK(
      end_of(gets_typed_flags).error_output ==
      "some_program: error: out of memory on the host; all sizes are the smallest already: a machine with more "
      "memory is needed\n");
}

TEST_CASE("advice: the model that it names is the smallest") {
  const auto blocks = [](const std::string& model) {
    const ResNetSpec& spec = resnet_spec(model);
    return spec.width * std::accumulate(spec.depths.begin(), spec.depths.end(), 0);
  };
  for (const std::string& model : resnet_names()) {
    CAPTURE(model);
    CHECK((model == smallest_model || blocks(model) > blocks(smallest_model)));
  }
}

}  // namespace
}  // namespace kindred
