// How a run of several processes ends when one of them fails, and how the others notice one that says nothing any more.
//
// One line tells what happened, and rank 0 writes it wherever it is alive:
//   a process fails    rank 0 writes its own line and ends all. Another process sends its line to rank 0, which finds it
//                      while it waits, writes "rank 2 on HOST: line" and ends all
//   a process hangs    whoever has waited for longer than the time limit asks all others whether they are there; those that
//                      wait too answer. The lowest rank that is there names those that are not, and ends all
//   a wait is in vain  as NCCL may find out: who waits asks all others at once, and fails with the names of those that are
//                      not there
// A line that nobody takes up within a few seconds is written by the process that has it.
//
// Messages are looked at only in look(), which a process calls while it waits, in a collective of the host or for its GPU:
// one that computes is not disturbed.
#pragma once

#include <kindred/engine/error.h>
#include <kindred/third_party/mpi/calls.h>

#include <chrono>
#include <functional>
#include <list>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

class FailureDetector {
 public:
  using LastWords = std::function<void(ExitCode code, const std::string& line)>;

  FailureDetector(const MpiCalls& calls, const MpiPlace& place) : calls_(calls), place_(place) {}
  void set_hosts(std::vector<std::string> hosts) {
    hosts_ = std::move(hosts);
  }  // names of the machines, by rank
  // How the line is written; "error: LINE" on standard error until set.
  void set_last_words(LastWords last_words) { last_words_ = std::move(last_words); }

  // To be called every now and then while this process waits. `waited` is for how many seconds it has, in this wait. Does
  // not return if the run must end; rank 0 throws the Error of a process that has failed. `problem`: see Transport::look.
  void look(double waited, const std::string& problem = "");
  // The wait is over: questions that were asked need no answer any more. Who does not call it begins a new wait all the same,
  // because one that began after the last look is another one.
  void stop_looking();

  // Ends this process and all others with that code; see above who writes the line. By any thread; from another than the
  // one that calls MPI it is written here and now.
  [[noreturn]] void end_together(ExitCode code, const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;

  // The processes are asked whether they are there.
  struct RollCall {
    Clock::time_point began;
    // In seconds, of those that are there and have waited beyond their time limit; 0: nobody has.
    double longest_wait = 0;
    std::vector<bool> is_there;
  };

  struct Sent {
    std::string bytes;
    MpiRequest* request = nullptr;
  };

  void send(int rank, int tag, std::string bytes);
  void forget_sent();
  void read_messages();
  void read_notice(int rank, const std::string& bytes);
  bool withdrew(int rank);
  void begin_roll_call();
  void end_roll_call(const std::string& problem);
  // Of those that have not waited too long, the roll call itself is the wait that is told.
  std::string why_lost(const std::string& problem) const;
  std::string name_of(int rank) const;  // "rank 3 on node7"
  [[noreturn]] void end_now(ExitCode code, const std::string& line);

  const MpiCalls& calls_;
  const MpiPlace place_;
  std::vector<std::string> hosts_;
  LastWords last_words_;
  std::optional<RollCall> roll_call_;
  std::int32_t roll_calls_ = 0;  // so far; answers to an earlier one count for nothing
  double waited_ = 0;            // seconds, in the present wait
  bool was_asked_ = false;       // by another process, in the present wait
  Clock::time_point last_look_{};
  std::optional<Error> failure_;  // of another process: thrown by each look from now on
  std::list<Sent> sent_;          // the bytes must stay until MPI has sent them
  std::vector<int> withdrawn_;    // ranks that write their line themselves
};

}  // namespace kindred
