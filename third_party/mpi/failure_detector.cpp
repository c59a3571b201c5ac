#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/seconds_since.h>
#include <kindred/third_party/mpi/failure_detector.h>
#include <kindred/third_party/mpi/mpi_library.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

namespace kindred {
namespace {

using namespace std::chrono_literals;

// Kinds of messages.
constexpr int notice = 1;      // an ExitCode and a line: this process fails
constexpr int withdrawal = 2;  // it writes its line itself
constexpr int question = 3;    // are you there? With a number
constexpr int answer = 4;      // yes; an Answer

constexpr auto time_to_answer = 2s;
constexpr auto time_to_be_ended = 3s;
constexpr std::size_t longest_line = 16384;

struct Answer {
  std::int32_t number = 0;        // that of the question
  std::int32_t is_impatient = 0;  // 1: has waited for longer than its time limit
  double waited = 0;              // seconds
};

template <typename T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename T>
T value_of(const std::string& bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

const std::thread::id main_thread = std::this_thread::get_id();

}  // namespace

std::string FailureDetector::name_of(int rank) const {
  const auto index = static_cast<std::size_t>(rank);
  return index < hosts_.size() ? fmt::format("rank {} on {}", rank, hosts_[index])
                               : fmt::format("rank {}", rank);
}

void FailureDetector::send(int rank, int tag, std::string bytes) {
  Sent& sent = sent_.emplace_back();
  sent.bytes = std::move(bytes);
  // An error here changes nothing: who cannot be reached does not answer, and then it is lost.
  calls_.send(sent.bytes.data(), static_cast<int>(sent.bytes.size()), rank, tag, &sent.request);
}

void FailureDetector::forget_sent() {
  std::erase_if(sent_, [&](const Sent& sent) {
    int done = 1;
    if (sent.request != nullptr && calls_.test(sent.request, &done) != 0) done = 1;
    return done != 0;
  });
}

void FailureDetector::look(double waited, const std::string& problem) {
  if (Clock::now() - std::chrono::duration<double>(waited) > last_look_) stop_looking();  // another wait
  waited_ = waited;
  forget_sent();
  read_messages();
  if (failure_) throw Error(*failure_);
  const bool is_impatient = waited >= time_limit();
  if (!roll_call_ && (was_asked_ || is_impatient || !problem.empty())) begin_roll_call();
  last_look_ = Clock::now();
  if (!roll_call_) return;
  if (is_impatient && roll_call_->longest_wait == 0) roll_call_->longest_wait = waited;
  if (Clock::now() - roll_call_->began < time_to_answer) return;
  // The others may know nothing of the problem, so who has it speaks.
  if (!problem.empty() && roll_call_->longest_wait == 0) fail(ExitCode::lost, "{}", why_lost(problem));
  end_roll_call(problem);
}

void FailureDetector::stop_looking() {
  roll_call_.reset();
  was_asked_ = false;
  waited_ = 0;
}

void FailureDetector::read_messages() {
  int found = 0, rank = 0, tag = 0, size = 0;
  while (calls_.find(&found, &rank, &tag, &size) == 0 && found) {
    std::string bytes(static_cast<std::size_t>(size), '\0');
    if (calls_.receive(bytes.data(), size, rank, tag) != 0) return;
    if (tag == notice) {
      read_notice(rank, bytes);
    } else if (tag == withdrawal) {
      withdrawn_.push_back(rank);
    } else if (tag == question) {
      was_asked_ = true;
      send(rank, answer, bytes_of(Answer{value_of<std::int32_t>(bytes), waited_ >= time_limit(), waited_}));
    } else if (tag == answer) {
      const auto given = value_of<Answer>(bytes);
      if (!roll_call_ || given.number != roll_calls_) continue;  // to an earlier question
      roll_call_->is_there[static_cast<std::size_t>(rank)] = true;
      if (given.is_impatient) roll_call_->longest_wait = std::max(roll_call_->longest_wait, given.waited);
    }
  }
}

// Whether the process has taken its notice back, because rank 0 was busy for too long.
bool FailureDetector::withdrew(int rank) {
  read_messages();
  return std::find(withdrawn_.begin(), withdrawn_.end(), rank) != withdrawn_.end();
}

void FailureDetector::read_notice(int rank, const std::string& bytes) {
  const auto code = static_cast<ExitCode>(value_of<std::int32_t>(bytes));
  // Thrown by look() rather than ended here, so that a run that has saved nothing takes its folder away. Who catches it
  // ends all. A destructor that waits for a GPU may swallow it; the next wait throws it again.
  if (!failure_)
    failure_.emplace(
        code, fmt::format("{}: {}", name_of(rank), bytes.substr(std::min(bytes.size(), sizeof(std::int32_t)))));
  if (withdrew(rank)) {  // it has ended all, so this process has not long to go
    std::this_thread::sleep_for(time_to_be_ended);
    calls_.abort(static_cast<int>(code));
    std::_Exit(static_cast<int>(code));
  }
}

void FailureDetector::begin_roll_call() {
  ++roll_calls_;
  roll_call_ = RollCall{Clock::now(), 0, std::vector<bool>(static_cast<std::size_t>(place_.size))};
  roll_call_->is_there[static_cast<std::size_t>(place_.rank)] = true;
  for (int rank = 0; rank < place_.size; ++rank)
    if (rank != place_.rank) send(rank, question, bytes_of(roll_calls_));
}

void FailureDetector::end_roll_call(const std::string& problem) {
  if (roll_call_->longest_wait == 0) {  // the question was old: nobody who is there has waited for too long
    roll_call_.reset();
    was_asked_ = false;
    return;
  }
  const std::vector<bool>& there = roll_call_->is_there;
  const auto first = std::find(there.begin(), there.end(), true) - there.begin();
  // Another one speaks; unless it cannot.
  const bool another_speaks =
      first != place_.rank && Clock::now() - roll_call_->began < time_to_answer + time_to_be_ended;
  if (!another_speaks) end_now(ExitCode::lost, why_lost(problem));
}

std::string FailureDetector::why_lost(const std::string& problem) const {
  constexpr int most_named = 8;
  std::string names;
  int missing = 0;
  for (int rank = 0; rank < place_.size; ++rank) {
    if (roll_call_->is_there[static_cast<std::size_t>(rank)]) continue;
    if (++missing <= most_named) names += (names.empty() ? "" : ", ") + name_of(rank);
  }
  if (missing > most_named) names += fmt::format(" and {} more", missing - most_named);
  if (missing == 0 && !problem.empty()) return fmt::format("{}; all {} processes answer", problem, place_.size);
  const double longest =
      roll_call_->longest_wait > 0 ? roll_call_->longest_wait : seconds_since(roll_call_->began);
  const double seconds = longest < 10 ? longest : std::floor(longest);
  if (missing == 0)
    return fmt::format(
        "all {} processes answer, and yet wait for each other for {:.3g} s; the network between them loses or "
        "delays what they send, or they make different calls",
        place_.size, seconds);
  return fmt::format("{} {} not answer for {:.3g} s; {}, or cannot be reached from {}{}", names,
                     missing == 1 ? "does" : "do", seconds,
                     missing == 1 ? "it has died or hangs" : "they have died or hang", name_of(place_.rank),
                     problem.empty() ? "" : fmt::format(" ({})", problem));
}

void FailureDetector::end_together(ExitCode code, const std::string& line) {
  if (place_.rank == 0) end_now(code, line);
  const std::string named = fmt::format("{}: {}", name_of(place_.rank), line);
  if (std::this_thread::get_id() != main_thread) end_now(code, named);
  stop_looking();  // it waits no more, whatever others ask
  send(0, notice, bytes_of(static_cast<std::int32_t>(code)) + line.substr(0, longest_line));
  const auto wait_for = [&](Clock::duration time) {
    const auto end = Clock::now() + time;
    while (Clock::now() < end) {
      forget_sent();
      read_messages();  // others may be asking whether this process is there
      std::this_thread::sleep_for(1ms);
    }
  };
  wait_for(time_to_be_ended);
  send(0, withdrawal, "");
  wait_for(20ms);
  end_now(code, named);
}

void FailureDetector::end_now(ExitCode code, const std::string& line) {
  try {
    if (last_words_)
      last_words_(code, line);
    else
      std::fprintf(stderr, "error: %s\n", line.c_str());
  } catch (...) {  // nothing is left to do but to end
  }
  std::fflush(nullptr);
  std::this_thread::sleep_for(50ms);  // mpirun hands the line on, and might drop it with the processes
  if (std::this_thread::get_id() == main_thread) calls_.abort(static_cast<int>(code));
  // MPI's launcher ends the others when one ends without leave.
  std::_Exit(static_cast<int>(code));
}

}  // namespace kindred
