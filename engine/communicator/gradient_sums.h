// Sums the gradients of a store over the processes, while backward() is still running.
//
//   GradientSums sums(processes, store);
//   for each step:
//     Tape tape;
//     store.attach(tape);
//     sums.follow(tape);
//     ... forward; tape.backward(loss);
//     sums.finish();  // store.flat_gradients() is now the sum over the processes, with the same bits on each
//     optimizer.step();
//
// The flat gradients are cut into buckets of whole parameters, from the end, because backward() finishes the last
// layers first (Li et al. 2020, "PyTorch Distributed", arXiv 2006.15704, section 3.2). The sum of a bucket is started
// when its last gradient is final and all buckets before it have been started, so every process starts them in the
// same order.
#pragma once

#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/parameters.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

namespace kindred {

class GradientSums {
 public:
  static constexpr std::int64_t usual_bucket_bytes = std::int64_t{25} << 20;  // on the wire

  // The store must be allocated already. It and the processes must outlive this object.
  // `wire` is the type in which gradients travel. f32: their own type, f32 or f64. bf16: half the bytes of f32; each
  // process rounds its own gradients to bf16, and the sums are rounded too.
  // A bucket is closed when it has `bucket_bytes` or more. Parameters for which `has_none` is true never have a
  // gradient (frozen ones): theirs, which are zero, are not sent.
  GradientSums(const Communicator& processes, ParameterStore& store, DType wire = DType::f32,
               std::int64_t bucket_bytes = usual_bucket_bytes,
               const std::function<bool(const Parameter&)>& has_none = {});
  GradientSums(const GradientSums&) = delete;
  GradientSums& operator=(const GradientSums&) = delete;

  // To be called before backward() on this tape, which must be the only one that gives gradients to the store before
  // finish(). Without it, finish() starts all sums.
  void follow(Tape& tape);
  // Starts the sums that have not been started, and finishes all of them.
  void finish();

  struct Figures {
    std::int64_t buckets = 0;        // of a step
    std::int64_t started_early = 0;  // of these, while backward() had more to do, in the last step
    // Times of the host. On a GPU, where it does not wait, they are 0, and so is the number of steps.
    std::int64_t steps = 0;     // that were finished
    double seconds_waited = 0;  // in finish(), in all of them
    struct Sent {
      std::int64_t bytes = 0;    // on the wire
      double seconds_ahead = 0;  // from the start of its sum to finish(), in the last step
    };
    std::vector<Sent> sent{};  // of each bucket, in the order in which they go

    // The same, with only the steps and the wait since then.
    Figures since(const Figures& earlier) const;
  };
  const Figures& figures() const { return figures_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Bucket {
    std::int64_t begin, end;  // elements of the flat gradients
    int parameters;
    int awaited;                  // parameters whose gradients are not final yet
    Clock::time_point started{};  // its sum, in the last step
  };

  void start_next();
  void take_times(Clock::time_point backward_ended, Clock::time_point started_all);
  // The elements of a bucket in a flat tensor.
  static Tensor part(const Tensor& flat, const Bucket& bucket) {
    return flat.window(bucket.begin, {bucket.end - bucket.begin});
  }

  const Communicator& processes_;
  const Tensor gradients_;  // [elements], the store's
  Tensor on_wire_;          // [elements], of the wire's type; undefined if the gradients themselves are sent
  std::vector<Bucket> buckets_;
  std::unordered_map<std::uint64_t, std::size_t> bucket_of_;  // by the id of the parameter's value
  std::size_t started_ = 0;                                   // buckets
  Figures figures_;
};

}  // namespace kindred
