#include "threads.h"

#include <kindred/engine/error.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace kindred::test {
namespace {

// Where the threads meet: nobody goes on before all have come.
class MeetingPlace {
 public:
  struct Call {
    std::string what;  // the same for all
    const std::byte* bytes = nullptr;
  };

  explicit MeetingPlace(int size) : calls_(static_cast<std::size_t>(size)), size_(size) {}

  // Process `rank` makes this call. Its bytes must not change before the next meeting.
  void meet(int rank, Call call) {
    std::unique_lock lock(mutex_);
    calls_[static_cast<std::size_t>(rank)] = std::move(call);
    meet(lock);
  }
  void meet() {
    std::unique_lock lock(mutex_);
    meet(lock);
  }

  // Of every process, by rank. To be read between two meetings alone.
  const std::vector<Call>& calls() const { return calls_; }

  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  void fail_with(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!failed_) first_ = std::move(error);
    failed_ = true;
    changed_.notify_all();
  }

  std::exception_ptr first_error() const { return first_; }  // of threads that have ended

 private:
  void meet(std::unique_lock<std::mutex>& lock) {
    const std::uint64_t meeting = meetings_;
    if (++arrived_ == size_) {
      arrived_ = 0;
      ++meetings_;
      changed_.notify_all();
      return;
    }
    changed_.wait(lock, [&] { return meetings_ != meeting || failed_ || ended_; });
    if (meetings_ != meeting) return;
    check(!failed_, ExitCode::lost, "another process has failed");
    fail(ExitCode::lost, "a process has ended, and the others wait for it: {}", calls_so_far());
  }

  std::string calls_so_far() const {
    std::string text;
    for (const Call& call : calls_)
      text += (text.empty() ? "" : ", ") + (call.what.empty() ? "nothing" : call.what);
    return text;
  }

  std::vector<Call> calls_;
  const int size_;
  int arrived_ = 0;
  std::uint64_t meetings_ = 0;
  bool failed_ = false, ended_ = false;
  std::exception_ptr first_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

// NaN in every type of float.
constexpr std::byte poison{0xff};

template <typename T>
void reduce(std::byte* result, const std::byte* other, std::int64_t count, Reduction reduction) {
  T* const to = reinterpret_cast<T*>(result);
  const T* const from = reinterpret_cast<const T*>(other);
  for (std::int64_t i = 0; i < count; ++i) {
    if (reduction == Reduction::sum)
      to[i] = static_cast<T>(to[i] + from[i]);  // of 16 bits: added in float, rounded after each addition
    else if (from[i] > to[i] || std::isnan(static_cast<double>(from[i])))
      to[i] = from[i];
  }
}

void reduce(DType type, std::byte* result, const std::byte* other, std::int64_t count, Reduction reduction) {
  switch (type) {
    case DType::f32:
      return reduce<float>(result, other, count, reduction);
    case DType::f64:
      return reduce<double>(result, other, count, reduction);
    case DType::i32:
      return reduce<std::int32_t>(result, other, count, reduction);
    case DType::bf16:
      return reduce<BFloat16>(result, other, count, reduction);
    case DType::f16:
      return reduce<Float16>(result, other, count, reduction);
    case DType::u8:
      break;
  }
  fail(ExitCode::internal, "{} cannot be reduced", name(type));
}

class ThreadTransport : public Transport {
 public:
  ThreadTransport(int rank, int size, std::shared_ptr<MeetingPlace> place)
      : rank_(rank), size_(size), place_(std::move(place)) {}

  void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) override {
    const std::string what =
        fmt::format("all_reduce of {} {} ({})", count, name(type), static_cast<int>(reduction));
    reduce_from(static_cast<const std::byte*>(data), data, count, type, reduction, what);
  }

  void all_gather(const void* from, void* to, std::size_t bytes) override {
    arrive(fmt::format("all_gather of {} bytes", bytes), from);
    // Each writes its own memory alone. Its place in `to` may be `from`, which others read until all are done.
    for (int r = 0; r < size_; ++r) {
      std::byte* const own_copy = static_cast<std::byte*>(to) + static_cast<std::size_t>(r) * bytes;
      if (own_copy != from) std::memcpy(own_copy, bytes_of(r), bytes);
    }
    leave();
  }

  void broadcast(void* data, std::size_t bytes, int root) override {
    arrive(fmt::format("broadcast of {} bytes from process {}", bytes, root), data);
    if (rank_ != root) std::memcpy(data, bytes_of(root), bytes);
    leave();
  }

  void start_sum(void* data, std::int64_t count, DType type) override {
    Sum& sum = sums_.emplace_back();
    sum.data = static_cast<std::byte*>(data);
    sum.count = count;
    sum.type = type;
    sum.own.assign(sum.data, sum.data + static_cast<std::size_t>(count) * size_of(type));
    std::fill_n(sum.data, sum.own.size(), poison);
  }

  void finish_sums() override {
    for (const Sum& sum : std::exchange(sums_, {})) {
      check(std::all_of(sum.data, sum.data + sum.own.size(), [](std::byte b) { return b == poison; }),
            ExitCode::internal, "a tensor of {} {} was written while its sum was under way", sum.count,
            name(sum.type));
      reduce_from(sum.own.data(), sum.data, sum.count, sum.type, Reduction::sum,
                  fmt::format("sum of {} {}", sum.count, name(sum.type)));
    }
  }

  std::string description() const override { return "threads"; }

 private:
  struct Sum {
    std::byte* data = nullptr;
    std::int64_t count = 0;
    DType type = DType::f32;
    std::vector<std::byte> own;
  };

  const std::byte* bytes_of(int rank) const { return place_->calls()[static_cast<std::size_t>(rank)].bytes; }

  void arrive(const std::string& what, const void* bytes) {
    place_->meet(rank_, {what, static_cast<const std::byte*>(bytes)});
    for (const MeetingPlace::Call& call : place_->calls())
      check(call.what == what, ExitCode::internal, "processes make different calls: {}, and process {}: {}",
            call.what, rank_, what);
  }
  void leave() { place_->meet(); }

  // In the order of ranks, so that all get the same bits.
  void reduce_from(const std::byte* from, void* to, std::int64_t count, DType type, Reduction reduction,
                   const std::string& what) {
    const std::size_t bytes = static_cast<std::size_t>(count) * size_of(type);
    arrive(what, from);
    std::vector<std::byte> result(bytes_of(0), bytes_of(0) + bytes);
    for (int r = 1; r < size_; ++r) reduce(type, result.data(), bytes_of(r), count, reduction);
    leave();
    std::memcpy(to, result.data(), bytes);
  }

  const int rank_, size_;
  std::shared_ptr<MeetingPlace> place_;
  std::vector<Sum> sums_;
};

}  // namespace

void run_processes(int size, const std::function<void(const Communicator&)>& body) {
  const auto place = std::make_shared<MeetingPlace>(size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        const Communicator processes(rank, size, std::make_shared<ThreadTransport>(rank, size, place));
        const WorldScope scope(processes);
        body(processes);
        place->end();
      } catch (...) {
        place->fail_with(std::current_exception());
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (place->first_error()) std::rethrow_exception(place->first_error());
}

}  // namespace kindred::test
