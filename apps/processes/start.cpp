#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/processes/agreement.h>
#include <kindred/apps/processes/ending.h>
#include <kindred/apps/processes/foreign_launchers.h>
#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/launcher/launch_limits.h>
#include <kindred/apps/processes/launcher/launcher.h>
#include <kindred/apps/processes/places.h>
#include <kindred/apps/processes/start.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_world.h>
#include <kindred/third_party/nccl/nccl_transport.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr NumberRange numbers_of_processes{"1 to 65536", 1, most_processes},
    seconds_of_patience{"1 to 1000000 seconds", 1, most_timeout};

// What start_processes() leaves for connect_devices().
struct StartedWorld {
  std::unique_ptr<Communicator> hosts{};  // over MPI alone; what carries a GPU's tensors may refer to it
  bool gpus_are_asked = false;
  int here = 1;  // processes on this machine
};

StartedWorld& started_world() {
  static StartedWorld& world = *new StartedWorld;  // MPI's memory is never given back by a destructor
  return world;
}

std::string flag_in_words(const ProcessesAsked& asked) {
  return asked.gpus ? fmt::format("--gpus {}", *asked.gpus)
                    : fmt::format("--processes {}", asked.processes.value_or(1));
}

// Processes that may run on the same cores share them, where nobody has said how many threads each has.
void share_cores(const Communicator& processes) {
  if (std::getenv("OMP_NUM_THREADS") != nullptr) return;
  const std::string mine = host_name() + " " + usable_cores_in_words();
  const std::vector<std::string> all = processes.gather(mine);
  const auto sharing = static_cast<int>(std::count(all.begin(), all.end(), mine));
  if (sharing > 1) set_compute_threads(std::max(1, usable_cores() / sharing));
}

bool may_use_gpu(const ProcessesAsked& asked) {
  return asked.device == "auto" || asked.device == "cuda";
}

// What the command says beside settings, which are compared once they are known: with another program, or with a dry run, a
// process would make other calls than the rest.
std::string words_of_command(const ProcessesAsked& asked) {
  std::string program = command_of_this_program();
  program.erase(0, program.find_last_of(" /") + 1);  // npos + 1 is 0
  std::erase(program, '\'');                         // of a folder that the shell needs quoted
  return program + (asked.may_start_others ? "" : "\n--dry-run");
}

// Opens MPI and makes this process one of world(). `expected` processes were started.
void open_world(const ProcessesAsked& asked, int expected, const OpeningLimit& limit) {
  set_time_limit(asked.timeout);
  set_world(open_mpi_world(expected, limit));
  tell_launcher_that_mpi_is_open();
  end_with_the_others();
  watch_for_interrupts();
  StartedWorld& started = started_world();
  started.hosts = mpi_world_with(nullptr);
  const Communicator& hosts = *started.hosts;
  if (!hosts.is_first()) silence_output();

  started.here = mpi_transport().local_size();
  agree(hosts, "words in its command", words_of_command(asked));
  agree(hosts, "build", build_in_words(), "install the same one everywhere");
  share_cores(hosts);
  if (may_use_gpu(asked)) take_gpu_of_place(mpi_transport().local_rank(), mpi_transport().local_size());
}

// A GPU for each process is there, as far as can be known before CUDA is asked, which the launcher does not need.
void check_gpus_suffice(std::int64_t gpus) {
  const auto visible = visible_gpus();
  if (visible && !visible->empty()) {
    check(static_cast<std::int64_t>(visible->size()) >= gpus, ExitCode::device,
          "--gpus {}: there are only {}; use --gpus {}", gpus, visible->size(), visible->size());
    return;
  }
  try {
    choose_device("cuda");
  } catch (const Error& error) {
    fail(error.code(), "--gpus {}: {}; use --processes {} to train on the processors", gpus, error.what(),
         gpus);
  }
}

int start_others(const ProcessesAsked& asked) {
  check_folder_and_files_of_launch(static_cast<int>(asked_size(asked)), asked.gpus ? "--gpus" : "--processes");
  const std::string problem = why_no_mpi();
  check(problem.empty(), ExitCode::device, "{}: {}", flag_in_words(asked), problem);
  return launch_processes(asked);
}

// The launcher itself watches until MPI is open.
void join_others(const ProcessesAsked& asked) {
  open_world(asked, static_cast<int>(asked_size(asked)), {});
}

void check_foreign(const ProcessesAsked& asked, const ForeignLaunch& launch) {
  const std::string started = counted(launch.size, "process");
  check(launch.brings_mpi, ExitCode::usage,
        "{}={} says that {} were started, and nothing brings them together; {}", launch.variable, launch.size,
        started, how_to_start(launch, command_of_this_program()));
  const bool differs = (asked.processes || asked.gpus) && asked_size(asked) != launch.size;
  check(!differs, ExitCode::usage, "{}, and {} has started {}; leave out the flag, or start without {}",
        flag_in_words(asked), launch.launcher, started, launch.launcher);
}

// If a process is missing, MPI never opens in the others. Where the first one's end is not that of the others, one that speaks
// beside rank 0 is enough.
void end_unopened(const ForeignLaunch& launch, double seconds) {
  const std::string line = fmt::format(
      "MPI did not open within {} s: one of the {} has not started, hangs, or has ended already; "
      "raise --timeout if they start slowly",
      seconds, counted(launch.size, "process"));
  const bool speaks = launch.ends_others() || launch.rank <= 1;
  end_while_mpi_opens(launch.rank, ExitCode::lost, speaks ? line : "");
}

// Until MPI is open every process finds the same errors, and rank 0 says them.
void join_foreign(const ProcessesAsked& asked, const ForeignLaunch& launch) {
  try {
    check_foreign(asked, launch);
    // Not before one that has an error alone has said it.
    const double seconds = std::max(asked.timeout, seconds_of_all_turns);
    const auto too_late = [&launch, seconds] { end_unopened(launch, seconds); };
    open_world(asked, launch.size, {seconds + seconds_until_turn(launch.rank), too_late});
    // mpirun gives each process a terminal, also where its own output is a file.
    if (launch.launcher == "mpirun") hide_progress();
  } catch (const Error& error) {
    if (mpi_is_open()) throw;
    refuse_in_all(launch, error);
  }
}

}  // namespace

void add_process_flags(CommandLine& line, ProcessesAsked& asked) {
  line.add("--processes", asked.processes, processes_help).within(numbers_of_processes);
  line.add("--gpus", asked.gpus, gpus_help).within(numbers_of_processes);
  line.add("--timeout", asked.timeout, timeout_help).shows_default().within(seconds_of_patience);
}

void check_processes(const ProcessesAsked& asked) {
  if (asked.processes) check_range("--processes", *asked.processes, numbers_of_processes);
  if (asked.gpus) check_range("--gpus", *asked.gpus, numbers_of_processes);
  check_range("--timeout", asked.timeout, seconds_of_patience);
  check(!asked.processes || !asked.gpus || *asked.processes == *asked.gpus, ExitCode::usage,
        "--processes {} with --gpus {}: each process has one GPU; give one of the flags",
        asked.processes.value_or(0), asked.gpus.value_or(0));
  check(!asked.gpus || may_use_gpu(asked), ExitCode::usage, "--gpus {} with --device {}: use --processes {}",
        asked.gpus.value_or(0), asked.device, asked.gpus.value_or(0));
}

std::int64_t asked_size(const ProcessesAsked& asked) {
  return asked.gpus ? *asked.gpus : asked.processes.value_or(1);
}

std::optional<int> start_processes(const ProcessesAsked& asked) {
  check_processes(asked);
  started_world().gpus_are_asked = asked.gpus.has_value();
  const std::int64_t size = asked_size(asked);
  if (is_launched()) {
    join_others(asked);
    return std::nullopt;
  }
  const bool alone_is_meant = asked.processes == 1;
  if (alone_is_meant) {  // whatever has started this process, it speaks for itself
    set_process_end({});
    take_none_as_handed_on();
  }
  if (const auto launch = foreign_launch();
      launch && !alone_is_meant && (launch->every_process_runs || (size == 1 && asked.may_start_others))) {
    join_foreign(asked, *launch);
    return std::nullopt;
  }
  if (!asked.may_start_others) return std::nullopt;
  if (asked.gpus) check_gpus_suffice(*asked.gpus);
  if (size > 1) return start_others(asked);
  return std::nullopt;
}

void connect_devices(const DeviceChoice& device) {
  const StartedWorld& started = started_world();
  check(!started.gpus_are_asked || device.device == Device::cuda, ExitCode::device, "--gpus: {}",
        device.reason);
  if (started.hosts == nullptr) {
    if (device.device == Device::cuda && nccl_is_forced())
      set_world(std::make_unique<Communicator>(0, 1, nullptr, open_nccl(world())));
    return;
  }
  const Communicator& hosts = *started.hosts;
  agree(hosts, "device", name(device.device), "give --device, or make the GPU of that process usable");
  if (device.device != Device::cuda) return;
  const std::string gpu_here = identity_of_gpu();
  const std::vector<std::string> all = hosts.gather(gpu_here.empty() ? "" : host_name() + " " + gpu_here);
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    const auto other = std::find(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(rank), all[rank]);
    if (all[rank].empty() || other == all.begin() + static_cast<std::ptrdiff_t>(rank)) continue;
    fail(ExitCode::device, "ranks {} and {} use the same GPU of {}; start one process for each GPU",
         other - all.begin(), rank, all[rank].substr(0, all[rank].find(' ')));
  }
  set_world(mpi_world_with(open_nccl(hosts)));
}

int processes_here() {
  return started_world().here;
}

}  // namespace kindred
