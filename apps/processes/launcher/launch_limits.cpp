#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/processes/launcher/launch_limits.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <fcntl.h>         // defines: fcntl
#include <sys/resource.h>  // defines: getrlimit

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

// Open MPI 4.1 under the lowest limits that let its processes open MPI, before these do anything.
constexpr int threads_of_mpirun = 4;
constexpr int threads_of_process = 3;
constexpr std::size_t addresses_of_process = std::size_t{176} << 20;
constexpr std::size_t data_of_process = std::size_t{32} << 20;

void check_threads_of_launch(int processes) {
  const int wanted = threads_of_mpirun + threads_of_process * processes;
  std::string refusal;
  const int started = threads_that_start(wanted, &refusal);
  check(started == wanted, ExitCode::device, Cause::out_of_processes,
        "mpirun and {} processes need {} threads, and only {} can be started: {}", processes, wanted, started,
        refusal);
}

void check_addresses_of_launch() {
  const std::optional<MemoryLimit> limit = limit_of_addresses();
  if (!limit) return;
  const bool is_of_data = std::string_view(limit->name) == "ulimit -d";
  const std::size_t needed = is_of_data ? data_of_process : addresses_of_process;
  check(
      limit->bytes >= needed, ExitCode::device, "Open MPI's libraries alone need {} of {} in each process; {}",
      format_bytes(static_cast<double>(needed)), is_of_data ? "data" : "addresses", advice_about_limit(limit));
}

// Open MPI 4.1 opens 23, and 4 for each process, beside standard input, output and error.
constexpr int files_of_mpirun = 25;
constexpr int files_of_process = 4;

struct FilesOfLimit {
  int inherited = 0;  // that mpirun gets from this process
  int free = 0;
};

// Counts until enough are free. A file whose number is above the limit takes no place.
FilesOfLimit files_below(rlim_t limit, int enough) {
  FilesOfLimit files;
  for (rlim_t file = 0; file < limit && files.free < enough; ++file) {
    const int flags = ::fcntl(static_cast<int>(file), F_GETFD);
    const bool is_inherited = flags >= 0 && (flags & FD_CLOEXEC) == 0;
    ++(is_inherited ? files.inherited : files.free);
  }
  return files;
}

void check_files_of_launch(int processes, const char* flag) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const int needed = files_of_mpirun + files_of_process * processes;
  const FilesOfLimit files = files_below(limit.rlim_cur, needed);
  check(files.free == needed, ExitCode::device,
        "mpirun and {} processes need {} open files, and ulimit -n allows {}; raise it, or use fewer {}",
        processes, needed + files.inherited, limit.rlim_cur, flag);
}

void check_current_folder() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::current_path(error);
  check(!folder.empty(), ExitCode::device, "the current folder is gone; change to one that exists");
}

}  // namespace

void check_folder_and_files_of_launch(int processes, const char* flag) {
  check_current_folder();
  check_files_of_launch(processes, flag);
}

void check_limits_of_launch(int processes) {
  check_addresses_of_launch();
  check_threads_of_launch(processes);
}

}  // namespace kindred
