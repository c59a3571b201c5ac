// Tensors of the host between processes, by MPI.
//
// Only the main thread calls. Collectives are MPI's non-blocking ones, asked again and again whether they are done: at first
// at once, then after giving the core to others, then every 50 us. So a process that waits leaves its core to those that
// compute, and sees when another one has failed or hangs (failure_detector.h).
#pragma once

#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/communicator/transport.h>
#include <kindred/third_party/mpi/calls.h>
#include <kindred/third_party/mpi/failure_detector.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace kindred {

class MpiTransport : public Transport {
 public:
  // MPI is open, and all processes make one of these.
  MpiTransport(const MpiCalls& calls, const MpiPlace& place);

  int rank() const { return place_.rank; }
  int size() const { return place_.size; }
  // Among the processes on the same machine, in the order of ranks.
  int local_rank() const { return place_.local_rank; }
  int local_size() const { return place_.local_size; }
  const std::vector<std::string>& hosts() const { return hosts_; }  // the names of the machines, by rank

  void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction) override;
  void all_gather(const void* from, void* to, std::size_t bytes) override;
  void broadcast(void* data, std::size_t bytes, int root) override;
  void start_sum(void* data, std::int64_t count, DType type) override;
  void progress() override;
  void finish_sums() override;
  bool look(double waited, const std::string& problem) override;
  std::string description() const override;

  // See failure_detector.h. The time limit and the longer limits of some phases are in engine/communicator/time_limit.h.
  [[noreturn]] void end_together(ExitCode code, const std::string& line) { detector_.end_together(code, line); }
  void set_last_words(FailureDetector::LastWords words) { detector_.set_last_words(std::move(words)); }

  // Waits for the others and closes MPI. Nothing can be called afterwards.
  void close();

 private:
  // A piece of a sum that waits for its turn.
  struct Piece {
    std::byte* data = nullptr;
    std::int64_t count = 0;
    DType type = DType::f32;
  };
  // One that is under way. Some of MPI's algorithms need the process's own part apart from the result.
  struct Sum {
    MpiRequest* request = nullptr;
    std::unique_ptr<std::byte[]> own;
  };

  template <typename Work>
  void in_pieces(std::int64_t count, std::size_t element_bytes, std::size_t piece_bytes,
                 const Work& work) const;
  void start_pieces();
  Sum start_reduction(MpiChannel channel, std::byte* data, std::int64_t count, DType type,
                      Reduction reduction) const;
  bool is_done(MpiRequest* request, const char* call) const;
  void wait(MpiRequest* request, const char* call);
  void check_usable() const;

  const MpiCalls& calls_;
  const MpiPlace place_;
  FailureDetector detector_;
  std::vector<std::string> hosts_;
  std::deque<Piece> waiting_;  // in the order in which all processes start them
  std::deque<Sum> sums_;
  bool is_closed_ = false;
};

}  // namespace kindred
