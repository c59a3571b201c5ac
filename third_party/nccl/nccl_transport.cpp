#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/error.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/engine/tensor.h>
#include <kindred/third_party/nccl/calls.h>
#include <kindred/third_party/nccl/nccl_transport.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>  // defines: std::uncaught_exceptions
#include <functional>
#include <future>
#include <string_view>
#include <thread>
#include <tuple>  // defines: std::tie
#include <utility>

namespace kindred {
namespace {

// Work on the GPU ends as soon as its end has begun. The others may end the run 3 s after an error of theirs
// (third_party/mpi/failure_detector.cpp), and by then this process must have said its own.
constexpr std::chrono::seconds to_abort{1}, to_destroy{20};
constexpr std::chrono::milliseconds between_looks{10};

// Does `work` on a thread of its own. Whoever does not wait for its end leaves it to go on, until the process ends: NCCL has
// no other way out of a call that waits for a process which never comes.
template <typename Result>
std::future<Result> on_a_thread(std::function<Result()> work) {
  std::packaged_task<Result()> task(std::move(work));
  std::future<Result> result = task.get_future();
  std::thread(std::move(task)).detach();
  return result;
}

// For the calls that are made in order, and for the sums beside them.
using Pair = std::pair<ncclComm*, ncclComm*>;

// Waits until all processes have joined, and meanwhile looks after them.
Pair join_with(const nccl::Calls& calls, const nccl::Id& id, const Communicator& hosts) {
  std::future<Pair> joined = on_a_thread<Pair>([&calls, id, rank = hosts.rank(), size = hosts.size()] {
    ncclComm* const first = calls.join(id, rank, size);
    return Pair(first, calls.split(first));
  });
  const auto begun = std::chrono::steady_clock::now();
  while (joined.wait_for(between_looks) != std::future_status::ready) {
    const double waited = seconds_since(begun), limit = time_limit();
    const std::string problem =
        waited < limit
            ? ""
            : fmt::format(
                  "the GPUs of {} processes did not find each other through NCCL within {} s; NCCL_DEBUG=INFO "
                  "in the environment shows what it tried",
                  hosts.size(), limit);
    if (!hosts.look(waited, problem)) check(problem.empty(), ExitCode::lost, "{}", problem);
  }
  return joined.get();
}

// The communicators of one transport. Every thread that waits for the GPU looks at them, so they are shared.
class Communicators {
 public:
  Communicators(const nccl::Calls& calls, const nccl::Id& id, const Communicator& hosts)
      : calls_(calls), hosts_(hosts) {
    std::tie(in_order_, of_sums_) = join_with(calls, id, hosts);
  }

  ncclComm* in_order() const { return in_order_; }
  ncclComm* of_sums() const { return of_sums_; }

  // Called while the host waits for the GPU.
  void look(double waited) {
    if (is_over_ && !is_lost_) return;
    try {
      check_others(waited);
    } catch (...) {
      give_up();
      throw;
    }
  }

  // Ends what the GPU does for other processes, so that waiting for the GPU comes to an end.
  void give_up() {
    is_lost_ = true;
    if (is_over_.exchange(true)) return;
    const std::future<void> ends[] = {begin_end(of_sums_, calls_.abort), begin_end(in_order_, calls_.abort)};
    const auto latest = std::chrono::steady_clock::now() + to_abort;
    for (const std::future<void>& end : ends) end.wait_until(latest);
  }

  void destroy() {
    if (is_over_.exchange(true)) return;
    for (ncclComm* const communicator : {of_sums_, in_order_})
      begin_end(communicator, calls_.destroy).wait_for(to_destroy);
  }

 private:
  // Throws if the wait is in vain, or ends the run. Another process may not have started its call: the hosts' roll call names
  // it, where this transport only sees who waits.
  void check_others(double waited) const {
    constexpr const char* reason = "another process of the run has died or hangs";
    check(!is_lost_, ExitCode::lost, "NCCL: the GPUs no longer work together; {}", reason);
    const std::string of_calls = problem_of_calls();
    const std::string problem = of_calls.empty() ? "" : "NCCL: " + of_calls;
    const bool may_ask = std::this_thread::get_id() == thread_;
    if (may_ask && hosts_.look(waited, problem)) return;
    check(problem.empty(), ExitCode::lost, "{}; {}", problem, reason);
    check(hosts_.is_alone() || waited <= limit_.seconds(), ExitCode::lost,
          "NCCL: the GPU of rank {} has waited {:.0f} s for those of the others; {}", hosts_.rank(), waited,
          reason);
  }

  std::string problem_of_calls() const {
    const std::string problem = calls_.problem(in_order_);
    return problem.empty() ? calls_.problem(of_sums_) : problem;
  }

  // On a thread of its own: as long as a recording holds a call of a communicator, NCCL does not return from ending it,
  // although its work on the GPU ends at once.
  static std::future<void> begin_end(ncclComm* communicator, void (*call)(ncclComm*)) {
    return on_a_thread<void>([call, communicator] {
      try {
        call(communicator);
      } catch (const std::exception&) {
        // It is over in any case.
      }
    });
  }

  const nccl::Calls& calls_;
  const Communicator& hosts_;
  const std::thread::id thread_ = std::this_thread::get_id();  // which makes the hosts' calls
  const LimitOfThread limit_{};                                // of that thread
  ncclComm *in_order_ = nullptr, *of_sums_ = nullptr;
  std::atomic<bool> is_over_{false}, is_lost_{false};
};

class NcclTransport final : public Transport {
 public:
  NcclTransport(const nccl::Calls& calls, const nccl::Id& id, const Communicator& hosts)
      : calls_(calls),
        rank_(hosts.rank()),
        size_(hosts.size()),
        communicators_(std::make_shared<Communicators>(calls, id, hosts)),
        forked_(gpu().make_event()),
        summed_(gpu().make_event()) {
    gpu().watch_waits([all = communicators_](double seconds) { all->look(seconds); });
  }

  ~NcclTransport() override {
    // Another error is under way: then nobody waits for what will not come.
    const bool is_lost = std::uncaught_exceptions() > 0;
    try {
      if (!is_lost) gpu().synchronize();
      if (is_lost)
        communicators_->give_up();
      else
        communicators_->destroy();
    } catch (const std::exception&) {
      // Whoever waits for the GPU has been told.
    }
    gpu().watch_waits({});
    gpu().destroy_event(forked_);
    gpu().destroy_event(summed_);
  }
  NcclTransport(const NcclTransport&) = delete;
  NcclTransport& operator=(const NcclTransport&) = delete;

  void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) override {
    if (count > 0)
      calls_.all_reduce(data, count, type, reduction, communicators_->in_order(), GpuStream::compute);
  }

  void all_gather(const void* from, void* to, std::size_t bytes) override {
    if (bytes == 0) return;
    const auto* given = static_cast<const std::byte*>(from);
    const auto *all = static_cast<const std::byte*>(to), *own = all + bytes * static_cast<std::size_t>(rank_),
               *end = all + bytes * static_cast<std::size_t>(size_);
    const std::less<> before;
    check(given == own || !before(given, end) || !before(all, given + bytes), ExitCode::internal,
          "a gather writes to what it reads, and that is not this process's place in the result");
    calls_.all_gather(from, to, bytes, communicators_->in_order(), GpuStream::compute);
  }

  void broadcast(void* data, std::size_t bytes, int root) override {
    if (bytes > 0) calls_.broadcast(data, bytes, root, communicators_->in_order(), GpuStream::compute);
  }

  void begin_group() override {
    calls_.begin_group();
    in_group_ = true;
  }

  void end_group() override {
    in_group_ = false;
    calls_.end_group();
  }

  void start_sum(void* data, std::int64_t count, DType type) override {
    check(!in_group_, ExitCode::internal, "a sum beside the computation was started in a group of calls");
    if (count == 0) return;
    // The sum waits for the kernels that wrote `data`.
    gpu().mark(forked_, GpuStream::compute);
    gpu().wait_on_gpu(forked_, GpuStream::communicate);
    calls_.all_reduce(data, count, type, Reduction::sum, communicators_->of_sums(), GpuStream::communicate);
    has_sums_ = true;
  }

  void finish_sums() override {
    if (!has_sums_) return;
    has_sums_ = false;
    gpu().mark(summed_, GpuStream::communicate);
    gpu().wait_on_gpu(summed_, GpuStream::compute);
  }

  std::string description() const override { return "NCCL " + calls_.version(); }

  // NCCL opens the ways between the GPUs with its first calls. Here it still shows as what it is if one of them is closed.
  void try_out() {
    const Tensor number = Tensor::full({1}, 1, DType::f32, Device::cuda);
    all_reduce(number.raw(), 1, DType::f32, Reduction::sum);
    start_sum(number.raw(), 1, DType::f32);
    finish_sums();
    const double sum = number.to_vector<float>()[0], expected = static_cast<double>(size_) * size_;
    check(sum == expected, ExitCode::device, "NCCL: a sum over the GPUs of {} processes is {}; expected {}",
          size_, sum, expected);
  }

 private:
  const nccl::Calls& calls_;
  int rank_, size_;
  std::shared_ptr<Communicators> communicators_;
  void *forked_, *summed_;  // events
  bool in_group_ = false, has_sums_ = false;
};

constexpr const char* not_built =
    "this build has no NCCL, which several GPUs need: nccl.h was not found when it was built "
    "(-DKINDRED_NCCL_INCLUDE=FOLDER)";

// Throws the same error on every process unless all have the same version of the library.
void check_same_library(const Communicator& hosts) {
  const nccl::Calls* calls = nccl::calls_of_cuda;
  const std::string missing = calls == nullptr ? not_built : calls->why_missing();
  const std::vector<std::string> reasons = hosts.gather(missing);
  for (std::size_t r = 0; r < reasons.size(); ++r)
    if (!reasons[r].empty())
      fail(ExitCode::device, Cause::missing_library, "{}{}",
           hosts.is_alone() ? "" : fmt::format("rank {}: ", r), reasons[r]);
  const std::vector<std::string> versions = hosts.gather(calls->version());
  for (std::size_t r = 0; r < versions.size(); ++r)
    check(versions[r] == versions[0], ExitCode::device,
          "rank {} has NCCL {} and rank 0 has {}; all processes need the same version", r, versions[r],
          versions[0]);
}

}  // namespace

std::shared_ptr<Transport> open_nccl(const Communicator& hosts) {
  check_same_library(hosts);
  const nccl::Calls& calls = *nccl::calls_of_cuda;
  nccl::Id id{};
  if (hosts.is_first()) id = calls.make_id();
  const std::string sent = hosts.broadcast(std::string(id.data(), id.size()));
  check(sent.size() == id.size(), ExitCode::internal, "NCCL's id has {} bytes; expected {}", sent.size(),
        id.size());
  std::copy(sent.begin(), sent.end(), id.begin());
  const auto transport = std::make_shared<NcclTransport>(calls, id, hosts);
  transport->try_out();
  return transport;
}

bool nccl_is_forced() {
  const char* text = std::getenv("KINDRED_NCCL");
  const std::string_view value = text == nullptr ? "" : text;
  check(value.empty() || value == "0" || value == "1", ExitCode::usage,
        "KINDRED_NCCL is '{}'; expected 1, where one process alone is to use NCCL too, or 0 or nothing", value);
  return value == "1";
}

std::string nccl_report() {
  return nccl::calls_of_cuda == nullptr ? not_built : nccl::calls_of_cuda->where();
}

}  // namespace kindred
