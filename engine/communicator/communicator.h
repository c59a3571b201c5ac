// The processes that train one model together, as one of them sees them.
//
//   Communicator& processes = world();
//   processes.all_gather(own, Output(all));  // all[r * own.numel()...] is what process r gave
//
// Every process makes the same calls in the same order. A call on a tensor of the host waits for the other processes; one
// on a GPU's tensor is put in order on the compute stream, like every kernel, and can be part of a recording. With one
// process nothing is called: sums are what they were, and a gather is a copy. On device plan nothing happens either.
#pragma once

#include <kindred/engine/communicator/transport.h>
#include <kindred/engine/tensor.h>

#include <memory>
#include <string>
#include <vector>

namespace kindred {

class Communicator {
 public:
  // One process alone.
  Communicator() = default;
  // `device` carries tensors of a GPU; it may be null if there are none.
  Communicator(int rank, int size, std::shared_ptr<Transport> host,
               std::shared_ptr<Transport> device = nullptr);
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_alone() const { return size_ == 1; }
  bool is_first() const { return rank_ == 0; }

  // In place, elementwise over the processes: f32, f64, i32; sums also bf16 and f16. The same bits on every process.
  void all_reduce(Output tensor, Reduction reduction = Reduction::sum) const;
  // gathered has size() * local.numel() elements, of the same type and device, in any shape; those of process r begin at
  // r * local.numel().
  void all_gather(const Tensor& local, Output gathered) const;
  void broadcast(Output tensor, int root = 0) const;
  void barrier() const;  // of the hosts

  // The calls made while one of these exists may travel as one message. Their results must not be read before it is
  // destroyed. Not to be nested.
  class Group {
   public:
    explicit Group(const Communicator& processes);
    ~Group() noexcept(false);
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

   private:
    const Communicator& processes_;
  };

  // Sums that go on while the caller computes; see Transport. `tensor` must not be touched before finish_sums().
  void start_sum(Output tensor) const;
  void progress() const;
  void finish_sums() const;

  // Looks after the other processes during a wait that this communicator does not see; see Transport. With the transport
  // of the host's tensors, of which it returns the answer.
  bool look(double waited, const std::string& problem = "") const;

  // Values of the host.
  std::vector<double> sum(std::vector<double> values) const;       // elementwise
  std::vector<double> max(std::vector<double> values) const;       // elementwise
  std::vector<std::string> gather(const std::string& text) const;  // of every process, by rank
  std::string broadcast(const std::string& text, int root = 0) const;

  std::string description() const;  // "2 processes over Open MPI 4.1.4 and NCCL 2.28.9"; empty if alone

 private:
  Transport* transport_of(const Tensor& tensor) const;  // null if there is nothing to do

  int rank_ = 0, size_ = 1;
  std::shared_ptr<Transport> host_, device_;
};

// The processes of this run: one alone, until set_world. Tests that run several "processes" as threads give each thread
// its own with a WorldScope.
const Communicator& world();
void set_world(std::unique_ptr<Communicator> processes);

class WorldScope {
 public:
  explicit WorldScope(const Communicator& processes);
  ~WorldScope();
  WorldScope(const WorldScope&) = delete;
  WorldScope& operator=(const WorldScope&) = delete;

 private:
  const Communicator* outer_;
};

}  // namespace kindred
