#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/mpi_world.h>

#include <sys/uio.h>  // defines: process_vm_readv
#include <unistd.h>   // defines: getpid

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

namespace kindred {
namespace {

// Never destroyed: MPI must not be called at the very end of a program.
std::shared_ptr<MpiTransport>& open_transport() {
  static auto* const transport = new std::shared_ptr<MpiTransport>;
  return *transport;
}

// Where the kernel does not let processes read each other's memory, as in many containers, Open MPI tries all the same,
// and then hangs or complains. A process that may not even read its own memory in this way is in such a place.
void avoid_forbidden_reads() {
  char from = 1, to = 0;
  iovec local{&to, 1}, remote{&from, 1};
  if (::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) != 1)
    ::setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
}

// For a sum in place Open MPI 4.1 lets one process add everything, and hand the result back. By Rabenseifner's algorithm
// (Thakur, Rabenseifner and Gropp 2005) each adds a share: 46 MB of two processes take 11 ms, not 18 to 38. On one machine
// alone: with more messages under way at once, mpirun more often ends the run itself when a network is cut, before a process
// can say which one it misses.
void let_each_add_a_share() {
  const char* const here = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
  const char* const all = std::getenv("OMPI_COMM_WORLD_SIZE");
  const bool is_one_machine = here != nullptr && all != nullptr && std::string_view(here) == all;
  if (is_one_machine) ::setenv("OMPI_MCA_coll_libnbc_iallreduce_algorithm", "3", 0);
}

// Calls a function unless it is destroyed within a time.
class Deadline {
 public:
  explicit Deadline(const OpeningLimit& limit) {
    if (limit.too_late) watcher_ = std::thread([this, limit] { watch(limit); });
  }
  ~Deadline() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    changed_.notify_one();
    if (watcher_.joinable()) watcher_.join();
  }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  // With the lock, so that a process whose time is up is not taken for one that has opened MPI.
  void watch(const OpeningLimit& limit) {
    const std::chrono::duration<double> time(limit.seconds);
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, time, [this] { return is_over_; })) limit.too_late();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_over_ = false;
  std::thread watcher_;  // the last member: it uses the others
};

}  // namespace

std::unique_ptr<Communicator> open_mpi_world(int expected, const OpeningLimit& limit) {
  check(open_transport() == nullptr, ExitCode::internal, "MPI was opened twice");
  std::optional<Deadline> deadline(std::in_place, limit);
  const MpiCalls& calls = mpi_calls();  // reads libraries, whose file system may hang
  avoid_forbidden_reads();
  let_each_add_a_share();
  MpiPlace place{};
  check_mpi(calls.open(&place), "MPI_Init_thread");
  deadline.reset();
  if (expected > 0 && place.size != expected) {
    calls.close();
    fail(ExitCode::device,
         "{} were started, and {} sees {}; start them with the mpirun of that MPI, or build Kindred with the "
         "MPI whose "
         "launcher started them",
         counted(expected, "process"), mpi_description(), place.size);
  }
  open_transport() = std::make_shared<MpiTransport>(calls, place);
  return mpi_world_with(nullptr);
}

std::unique_ptr<Communicator> mpi_world_with(std::shared_ptr<Transport> device) {
  const MpiTransport& transport = mpi_transport();
  return std::make_unique<Communicator>(transport.rank(), transport.size(), open_transport(),
                                        std::move(device));
}

bool mpi_is_open() {
  return open_transport() != nullptr;
}

MpiTransport& mpi_transport() {
  check(mpi_is_open(), ExitCode::internal, "MPI is not open");
  return *open_transport();
}

void set_last_words(FailureDetector::LastWords words) {
  mpi_transport().set_last_words(std::move(words));
}

void close_mpi_world() {
  MpiTransport& transport = mpi_transport();
  set_world(nullptr);
  transport.close();
  open_transport().reset();
}

}  // namespace kindred
