// Evaluates losses of a batch that is divided among processes, which are threads here, and compares them with
// the function of one process that has the whole batch.
#pragma once

#include <kindred/engine/communicator/communicator.h>
#include <kindred/losses/supcon/supcon.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace kindred::shared_losses {

constexpr int sizes[] = {2, 4};  // numbers of processes

// Rows of all processes in the order of one, view-major.
struct Rows {
  int views = 1;
  std::int64_t images = 0, dim = 0;
  std::vector<double> features;      // [views*images, dim]
  std::vector<std::int32_t> labels;  // [views*images]
};

// Random rows of length 1, which floats hold exactly. Every seventh image is alone in its class.
Rows unit_rows(int views, std::int64_t images, std::int64_t dim, std::uint32_t stream);

// One device with the type in which it is compared. The tolerances are relative; that of gradients is
// norm-wise.
struct Arithmetic {
  Device device;
  DType dtype;
  double values, gradients;
};
constexpr Arithmetic arithmetics[] = {{Device::reference, DType::f64, 1e-12, 1e-10},
                                      {Device::cpu, DType::f32, 1e-6, 1e-5}};

// The rows of one process: those of its images, view by view.
std::vector<std::int64_t> own_rows(const Rows& rows, const Communicator& processes);
Tensor features_of(const Rows& rows, const Communicator& processes, const Arithmetic& a);
Tensor labels_of(const Rows& rows, const Communicator& processes, const Arithmetic& a);

// A loss of the own rows of one process, or of one process that has all rows.
using Loss = std::function<Tensor(const Communicator&, const Tensor& features, const Tensor& labels,
                                  SupConStatistics* statistics)>;

struct Result {
  std::vector<double> loss, gradient, anchor_losses, lse;  // the gradient under a random cotangent
  std::vector<std::int32_t> positives, negatives;
};

// Of one process.
Result evaluate(const Communicator& processes, const Rows& rows, const Arithmetic& a, const Loss& loss);
// Of `size` processes, with the gradients in the order of one. All other results must be the same on all, to
// the bit.
Result evaluate_shared(int size, const Rows& rows, const Arithmetic& a, const Loss& loss);

// Compares 2 and 4 processes with one, within the tolerances. `whole` is the function of one process; it gets a
// communicator of one process alone.
void check_shared(const Rows& rows, const Arithmetic& a, const Loss& shared, const Loss& whole);

}  // namespace kindred::shared_losses
