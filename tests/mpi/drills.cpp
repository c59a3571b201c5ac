#include "drills.h"

#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/error.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <unistd.h>  // defines: _exit, getpid

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

namespace kindred::test {
namespace {

using namespace std::chrono_literals;

constexpr int meetings = 1000, moment = 20;  // the drill begins at this meeting

// As who waits for its GPU does, and in vain.
[[noreturn]] void wait_elsewhere(const Communicator& processes, const std::string& problem = "") {
  const auto begun = std::chrono::steady_clock::now();
  for (;;) {
    std::this_thread::sleep_for(5ms);
    check(processes.look(seconds_since(begun), problem), ExitCode::internal, "MPI cannot find out who is lost");
  }
}

void begin_drill(const std::string& name, const Communicator& processes) {
  const int rank = processes.rank(), last = processes.size() - 1;
  if (name == "hang" && rank == last) std::raise(SIGSTOP);
  if (name == "hang_first" && rank == 0) std::raise(SIGSTOP);
  if (name == "hang_two" && rank != 1) std::raise(SIGSTOP);
  if (name == "kill" && rank == last) std::raise(SIGKILL);
  if (name == "exit" && rank == last) ::_exit(3);
  check(name != "error" || rank != last, ExitCode::data, "a picture cannot be read");
  check(name != "error_first" || rank != 0, ExitCode::io, "the disk is full");
  check(name != "error_everywhere", ExitCode::usage, "there is no set");
  if (name == "error_while_busy" && rank == 0) std::this_thread::sleep_for(60s);
  check(name != "error_while_busy" || rank != last, ExitCode::data, "a picture cannot be read");
  if (name == "hang_elsewhere") {
    if (rank == last) std::raise(SIGSTOP);
    wait_elsewhere(processes);
  }
  if (name == "wait_elsewhere") wait_elsewhere(processes);
  if (name == "error_while_elsewhere") {
    check(rank != last, ExitCode::data, "a picture cannot be read");
    wait_elsewhere(processes);
  }
  if (name == "in_vain" || name == "hang_in_vain") {  // long before the time limit
    const LongerLimit longer(1000);
    if (name == "hang_in_vain" && rank == last) std::raise(SIGSTOP);
    wait_elsewhere(processes, rank == 1 ? "NCCL: a connection is closed" : "");
  }
  if (name == "different_calls" && rank == last) {
    const Tensor sum = Tensor::full({3}, 1, DType::f32, Device::cpu);
    processes.start_sum(Output(sum));  // the others start none
    processes.finish_sums();
  }
}

}  // namespace

int run_drill(const std::string& name) {
  set_world(open_mpi_world());
  set_time_limit(drill_limit);
  const Communicator& processes = world();
  std::printf("process %d\n", static_cast<int>(::getpid()));
  std::fflush(stdout);
  try {
    for (int i = 0; i < meetings; ++i) {
      if (i == moment) begin_drill(name, processes);
      const std::vector<double> all = processes.sum({1});
      check(all[0] == processes.size(), ExitCode::internal, "{} processes met", all[0]);
      if (i > 2 * moment && name == "none") break;
      std::this_thread::sleep_for(5ms);
    }
  } catch (const Error& error) {
    mpi_transport().end_together(error.code(), error.what());
  }
  close_mpi_world();
  return EXIT_SUCCESS;
}

}  // namespace kindred::test
