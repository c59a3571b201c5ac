#include <kindred/apps/processes/launched.h>
#include <kindred/apps/processes/launcher/mpirun.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/system_message.h>

#include <fcntl.h>      // defines: open, fcntl
#include <signal.h>     // defines: sigprocmask
#include <sys/prctl.h>  // defines: prctl
#include <unistd.h>     // defines: access, fork, execve, pipe2

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>
#include <system_error>

namespace kindred {
namespace {

// Variables of schedulers and of launchers around this process. mpirun would take their machines and places for its own.
constexpr std::string_view of_clusters[] = {"SLURM_", "PMI_", "PMIX_",        "OMPI_COMM_WORLD_", "PBS_",
                                            "LSB_",   "LSF_", "PE_HOSTFILE=", "PRTE_MCA_",        "PRRTE_"};

constexpr std::string_view no_frills[] = {
    // Reading another process's memory (CMA) is forbidden in most containers, and Open MPI 4 fails at the first message.
    "OMPI_MCA_btl_vader_single_copy_mechanism=none",
    // One machine: neither ssh nor a scheduler is asked.
    "OMPI_MCA_plm=isolated", "OMPI_MCA_btl_base_warn_component_unused=0",
    // PMIx's store in shared memory complains in containers whose user has no name.
    "PMIX_MCA_gds=hash"};

// Open MPI 4 and 5.
constexpr std::string_view places_in_memory[] = {"OMPI_MCA_btl_vader_backing_directory",
                                                 "OMPI_MCA_btl_sm_backing_directory"};

constexpr std::string_view of_root[] = {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
                                        "PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1"};

std::string_view variable_of(std::string_view entry) {
  return entry.substr(0, std::min(entry.find('='), entry.size()));
}

bool is_of_a_cluster(std::string_view entry) {
  return std::any_of(std::begin(of_clusters), std::end(of_clusters),
                     [&](std::string_view beginning) { return entry.starts_with(beginning); });
}

void set_variable(std::vector<std::string>& environment, std::string_view entry) {
  std::erase_if(environment,
                [&](const std::string& other) { return variable_of(other) == variable_of(entry); });
  environment.emplace_back(entry);
}

bool has_variable(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(),
                     [&](const std::string& entry) { return variable_of(entry) == name; });
}

// The first file of this name in PATH that may be executed.
std::optional<std::filesystem::path> find_program(std::string_view name, const char* search_path) {
  std::string_view left = search_path == nullptr ? "" : search_path;
  while (!left.empty()) {
    const std::size_t end = std::min(left.find(':'), left.size());
    const std::string_view folder = left.substr(0, end);
    left.remove_prefix(std::min(end + 1, left.size()));
    const std::filesystem::path file = std::filesystem::path(folder.empty() ? "." : folder) / name;
    std::error_code error;
    if (std::filesystem::is_regular_file(file, error) && ::access(file.c_str(), X_OK) == 0) return file;
  }
  return std::nullopt;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::optional<std::filesystem::path> find_mpirun(const char* search_path) {
  return find_program("mpirun", search_path);
}

MpirunStart mpirun_start(const MpirunPlan& plan, const std::vector<std::string>& environment) {
  MpirunStart start;
  start.command = {plan.mpirun.string(), "-n",   std::to_string(plan.processes),
                   "--bind-to",          "none", "--oversubscribe"};
  start.command.insert(start.command.end(), plan.program.begin(), plan.program.end());

  for (const std::string& entry : environment)
    if (!is_of_a_cluster(entry)) start.environment.push_back(entry);
  for (const std::string_view entry : no_frills)
    if (!has_variable(environment, variable_of(entry))) start.environment.emplace_back(entry);
  if (plan.is_root)
    for (const std::string_view entry : of_root) set_variable(start.environment, entry);
  set_variable(start.environment, fmt::format("OMPI_MCA_orte_tmpdir_base={}", plan.folder.string()));
  set_variable(start.environment, fmt::format("{}={}", launcher_socket, plan.socket));
  for (const std::string_view name : places_in_memory)
    if (!plan.memory.empty() && !has_variable(environment, name))
      start.environment.push_back(fmt::format("{}={}", name, plan.memory.string()));
  if (!has_variable(environment, "OMP_NUM_THREADS"))
    start.environment.push_back(fmt::format("OMP_NUM_THREADS={}", std::max(1, plan.cores / plan.processes)));
  return start;
}

std::vector<std::string> environment_of_this_process() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) entries.emplace_back(*entry);
  return entries;
}

RunningMpirun start_mpirun(MpirunStart how) {
  std::array<int, 2> ends{};
  const bool is_made = ::pipe2(ends.data(), O_CLOEXEC) == 0;
  check(is_made, ExitCode::device, "a pipe to mpirun cannot be made: {}", system_message());
  RunningMpirun mpirun{0, OpenFile(ends[0])};
  const OpenFile into(ends[1]);
  ::fcntl(mpirun.words.get(), F_SETFL, O_NONBLOCK);
  const OpenFile nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const std::vector<char*> command = pointers_to(how.command), environment = pointers_to(how.environment);
  mpirun.process = ::fork();
  check(mpirun.process >= 0, ExitCode::device, Cause::out_of_threads, "mpirun cannot be started: {}",
        system_message());
  if (mpirun.process > 0) return mpirun;
  // In a group of its own, so that Ctrl-C reaches the launcher alone. Who signals all processes of the run, as Slurm and
  // systemd do, reaches mpirun too. It would end the others while they save, so it does not hear what asks a run to end. It
  // ends when its processes are gone, so nobody has to ask it. What it leaves if it is killed is in folders of the launcher.
  ::setpgid(0, 0);
  sigset_t unheard;
  sigemptyset(&unheard);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&unheard, signal);
  ::sigprocmask(SIG_BLOCK, &unheard, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_DFL);  // run_main() ignores them
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(into.get(), STDOUT_FILENO);
  ::dup2(into.get(), STDERR_FILENO);
  ::execve(command[0], command.data(), environment.data());
  constexpr int cannot_execute = 126;
  ::_exit(cannot_execute);
}

bool read_words(OpenFile& from, std::string& words) {
  constexpr std::size_t most = 1 << 16;
  std::array<char, 4096> buffer;
  const ssize_t bytes = ::read(from.get(), buffer.data(), buffer.size());
  if (bytes == 0) from.close();
  if (bytes <= 0) return false;
  if (words.size() < most) words.append(buffer.data(), static_cast<std::size_t>(bytes));
  return true;
}

std::vector<std::string> command_again(const std::vector<std::string>& started_as) {
  std::vector<std::string> command = started_as;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (command.empty()) command.emplace_back();
  const bool is_path = command.front().find('/') != std::string::npos;
  const std::optional<std::filesystem::path> found =
      is_path ? std::filesystem::path(command.front()) : find_program(command.front(), std::getenv("PATH"));
  if (!found || !std::filesystem::equivalent(*found, self, error)) command.front() = self.string();
  return command;
}

}  // namespace kindred
