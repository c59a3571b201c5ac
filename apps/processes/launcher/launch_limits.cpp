#include <kindred/apps/console/advice.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/processes/launcher/launch_limits.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

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

}  // namespace

void check_limits_of_launch(int processes) {
  check_addresses_of_launch();
  check_threads_of_launch(processes);
}

}  // namespace kindred
