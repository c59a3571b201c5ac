#include <kindred/engine/error.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/third_party/mpi/mpi_library.h>
#include <kindred/third_party/mpi/mpi_transport.h>

#include <sched.h>  // defines: sched_yield

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace kindred {
namespace {

using namespace std::chrono_literals;

// A wait: at first MPI is asked again at once, then after others had the core, then after naps.
// Naps cost dear where a sum is large: MPI moves a few hundred kilobytes whenever it is asked.
constexpr double seconds_of_asking = 50e-6, seconds_of_yielding = 0.1, seconds_between_looks = 1e-3;
constexpr auto nap = 50us;

// MPI counts in int, and Open MPI takes as much memory again as a piece has.
constexpr std::size_t largest_piece = std::size_t{64} << 20;
// Sums beside the computation go in smaller pieces, a few at a time: 45 MB between two processes took 15 ms so, and 48 ms in
// one piece.
constexpr std::size_t piece_of_sum = std::size_t{1} << 20, pieces_under_way = 4;
// Up to this many bytes are gathered by one call, of all processes together, because Open MPI counts them in int too; more
// than that are broadcast, one process after another.
constexpr std::size_t most_gathered_bytes = std::size_t{1} << 30;

// From here on Open MPI has algorithms whose cost does not grow with the number of processes. They need what a process
// gives in other memory than the result.
constexpr int many_processes = 4;
constexpr std::size_t many_bytes = 65536;

constexpr std::size_t host_bytes = 256;

std::string host_of(const MpiCalls& calls) {
  char name[host_bytes] = "";
  check_mpi(calls.host(name, host_bytes), "MPI_Get_processor_name");
  return name;
}

}  // namespace

MpiTransport::MpiTransport(const MpiCalls& calls, const MpiPlace& place)
    : calls_(calls), place_(place), detector_(calls, place) {
  std::string own = host_of(calls), all(static_cast<std::size_t>(place.size) * host_bytes, '\0');
  own.resize(host_bytes, '\0');
  all_gather(own.data(), all.data(), host_bytes);
  for (std::size_t at = 0; at < all.size(); at += host_bytes) hosts_.emplace_back(all.data() + at);
  detector_.set_hosts(hosts_);
}

void MpiTransport::check_usable() const {
  check(!is_closed_, ExitCode::internal, "a collective was called after MPI had been closed");
}

// Calls work(first element, elements) for pieces of at most so many bytes.
template <typename Work>
void MpiTransport::in_pieces(std::int64_t count, std::size_t element_bytes, std::size_t piece_bytes,
                             const Work& work) const {
  const auto most = static_cast<std::int64_t>(piece_bytes / element_bytes);
  for (std::int64_t begin = 0; begin < count; begin += most) work(begin, std::min(most, count - begin));
}

MpiTransport::Sum MpiTransport::start_reduction(MpiChannel channel, std::byte* data, std::int64_t count,
                                                DType type, Reduction reduction) const {
  Sum sum;
  const std::size_t bytes = static_cast<std::size_t>(count) * size_of(type);
  if (place_.size >= many_processes && bytes >= many_bytes) {
    sum.own = std::make_unique_for_overwrite<std::byte[]>(bytes);
    std::memcpy(sum.own.get(), data, bytes);
  }
  check_mpi(calls_.all_reduce(channel, sum.own.get(), data, static_cast<int>(count), static_cast<int>(type),
                              static_cast<int>(reduction), &sum.request),
            "MPI_Iallreduce");
  return sum;
}

void MpiTransport::all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) {
  check_usable();
  in_pieces(count, size_of(type), largest_piece, [&](std::int64_t begin, std::int64_t piece) {
    std::byte* const first = static_cast<std::byte*>(data) + static_cast<std::size_t>(begin) * size_of(type);
    const Sum sum = start_reduction(MpiChannel::calls, first, piece, type, reduction);
    wait(sum.request, "MPI_Iallreduce");
  });
}

void MpiTransport::all_gather(const void* from, void* to, std::size_t bytes) {
  check_usable();
  std::byte* const own = static_cast<std::byte*>(to) + static_cast<std::size_t>(place_.rank) * bytes;
  if (bytes > most_gathered_bytes / static_cast<std::size_t>(place_.size)) {
    if (from != own) std::memcpy(own, from, bytes);
    for (int rank = 0; rank < place_.size; ++rank)
      broadcast(static_cast<std::byte*>(to) + static_cast<std::size_t>(rank) * bytes, bytes, rank);
    return;
  }
  MpiRequest* request = nullptr;
  check_mpi(
      calls_.all_gather(MpiChannel::calls, from == own ? nullptr : from, to, static_cast<int>(bytes), &request),
      "MPI_Iallgather");
  wait(request, "MPI_Iallgather");
}

void MpiTransport::broadcast(void* data, std::size_t bytes, int root) {
  check_usable();
  in_pieces(static_cast<std::int64_t>(bytes), 1, largest_piece, [&](std::int64_t begin, std::int64_t piece) {
    MpiRequest* request = nullptr;
    check_mpi(calls_.broadcast(MpiChannel::calls, static_cast<std::byte*>(data) + begin,
                               static_cast<int>(piece), root, &request),
              "MPI_Ibcast");
    wait(request, "MPI_Ibcast");
  });
}

void MpiTransport::start_sum(void* data, std::int64_t count, DType type) {
  check_usable();
  in_pieces(count, size_of(type), piece_of_sum, [&](std::int64_t begin, std::int64_t piece) {
    waiting_.push_back(
        {static_cast<std::byte*>(data) + static_cast<std::size_t>(begin) * size_of(type), piece, type});
  });
  start_pieces();
}

void MpiTransport::start_pieces() {
  while (!waiting_.empty() && sums_.size() < pieces_under_way) {
    const Piece piece = waiting_.front();
    waiting_.pop_front();
    sums_.push_back(start_reduction(MpiChannel::sums, piece.data, piece.count, piece.type, Reduction::sum));
  }
}

// MPI works on all calls that are under way whenever it is asked about one of them.
void MpiTransport::progress() {
  while (!sums_.empty()) {
    Sum sum = std::move(sums_.front());  // out of the list first: MPI forgets a request that fails
    sums_.pop_front();
    if (!is_done(sum.request, "MPI_Iallreduce")) {
      sums_.push_front(std::move(sum));
      return;
    }
    start_pieces();
  }
}

void MpiTransport::finish_sums() {
  while (!sums_.empty()) {
    const Sum sum = std::move(sums_.front());
    sums_.pop_front();
    wait(sum.request, "MPI_Iallreduce");
    start_pieces();
  }
}

bool MpiTransport::look(double waited, const std::string& problem) {
  if (is_closed_) return false;
  detector_.look(waited, problem);
  return true;
}

std::string MpiTransport::description() const {
  return mpi_name(calls_.library());
}

bool MpiTransport::is_done(MpiRequest* request, const char* call) const {
  int done = 0;
  check_mpi(calls_.test(request, &done), call);
  return done != 0;
}

void MpiTransport::wait(MpiRequest* request, const char* call) {
  const auto start = std::chrono::steady_clock::now();
  double looked = 0;
  while (!is_done(request, call)) {
    const double waited = seconds_since(start);
    if (waited < seconds_of_asking) continue;
    if (waited < seconds_of_yielding)
      sched_yield();
    else
      std::this_thread::sleep_for(nap);
    if (waited - looked < seconds_between_looks) continue;
    detector_.look(seconds_since(start));
    looked = waited;
  }
  if (looked > 0) detector_.stop_looking();
}

void MpiTransport::close() {
  check_usable();
  finish_sums();
  std::int32_t arrived = 1;
  all_reduce(&arrived, 1, DType::i32, Reduction::sum);
  is_closed_ = true;
  check_mpi(calls_.close(), "MPI_Finalize");
}

}  // namespace kindred
