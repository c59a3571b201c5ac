#include "shared_evaluate.h"

#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>

#include "../engine/communicator/threads.h"
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace kindred::shared_losses {
namespace {

using gradcheck::relative_difference;

struct PoisonedMemory {
  explicit PoisonedMemory(Device device) : pool(memory_pool(device)) { pool.set_poison(true); }
  ~PoisonedMemory() { pool.set_poison(false); }
  MemoryPool& pool;
};

double norm(const std::vector<double>& values) {
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares);
}

}  // namespace

Rows unit_rows(int views, std::int64_t images, std::int64_t dim, std::uint32_t stream) {
  Rows rows{views, images, dim, {}, {}};
  RandomStream random(83, Purpose::test, stream, static_cast<std::uint32_t>(views));
  for (std::int64_t row = 0; row < views * images; ++row) {
    double squares = 0;
    for (std::int64_t d = 0; d < dim; ++d) {
      rows.features.push_back(random.normal());
      squares += rows.features.back() * rows.features.back();
    }
    for (auto value = rows.features.end() - dim; value != rows.features.end(); ++value)
      *value = static_cast<float>(*value / std::sqrt(squares));
    const std::int64_t image = row % images;
    rows.labels.push_back(static_cast<std::int32_t>(image % 7 == 3 ? 100 + image : image * image % 5));
  }
  return rows;
}

std::vector<std::int64_t> own_rows(const Rows& rows, const Communicator& processes) {
  const std::int64_t images = rows.images / processes.size();
  std::vector<std::int64_t> indices;
  for (std::int64_t view = 0; view < rows.views; ++view)
    for (std::int64_t i = 0; i < images; ++i)
      indices.push_back(view * rows.images + processes.rank() * images + i);
  return indices;
}

Tensor features_of(const Rows& rows, const Communicator& processes, const Arithmetic& a) {
  const std::vector<std::int64_t> indices = own_rows(rows, processes);
  std::vector<double> values;
  for (const std::int64_t row : indices)
    values.insert(values.end(), rows.features.begin() + row * rows.dim,
                  rows.features.begin() + (row + 1) * rows.dim);
  return Tensor::from(values, {static_cast<std::int64_t>(indices.size()), rows.dim}, Device::cpu)
      .to(a.device, a.dtype);
}

Tensor labels_of(const Rows& rows, const Communicator& processes, const Arithmetic& a) {
  std::vector<std::int32_t> values;
  for (const std::int64_t row : own_rows(rows, processes))
    values.push_back(rows.labels[static_cast<std::size_t>(row)]);
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, a.device);
}

Result evaluate(const Communicator& processes, const Rows& rows, const Arithmetic& a, const Loss& loss) {
  const double cotangent = RandomStream(84, Purpose::test).uniform(0.5, 2);
  Tensor z = features_of(rows, processes, a);
  z.set_requires_grad();
  SupConStatistics statistics;
  Tape tape;
  const Tensor value = loss(processes, z, labels_of(rows, processes, a), &statistics);
  tape.backward(value, Tensor::full({}, cotangent, value.dtype(), a.device));
  Result result{value.to_vector<double>(), tape.gradient(z).to_vector<double>(), {}, {}, {}, {}};
  if (!statistics.positives.defined()) return result;
  result.anchor_losses = statistics.anchor_losses.to_vector<double>();
  result.lse = statistics.lse.to_vector<double>();
  result.positives = statistics.positives.to_vector<std::int32_t>();
  result.negatives = statistics.negatives.to_vector<std::int32_t>();
  return result;
}

Result evaluate_shared(int size, const Rows& rows, const Arithmetic& a, const Loss& loss) {
  const PoisonedMemory poisoned(a.device);
  std::vector<Result> of_each(static_cast<std::size_t>(size));
  std::vector<double> gradient(rows.features.size(), std::numeric_limits<double>::quiet_NaN());
  test::run_processes(size, [&](const Communicator& processes) {
    Result& own = of_each[static_cast<std::size_t>(processes.rank())];
    own = evaluate(processes, rows, a, loss);
    auto value = own.gradient.begin();
    for (const std::int64_t row : own_rows(rows, processes)) {
      std::copy(value, value + rows.dim, gradient.begin() + row * rows.dim);
      value += rows.dim;
    }
  });
  for (const Result& other : of_each) {
    CHECK(other.loss == of_each[0].loss);
    CHECK(other.anchor_losses == of_each[0].anchor_losses);
    CHECK(other.lse == of_each[0].lse);
    CHECK(other.positives == of_each[0].positives);
    CHECK(other.negatives == of_each[0].negatives);
  }
  of_each[0].gradient = gradient;
  return of_each[0];
}

void check_shared(const Rows& rows, const Arithmetic& a, const Loss& shared, const Loss& whole) {
  CAPTURE(name(a.device));
  CAPTURE(rows.views);
  const Result expected = evaluate(Communicator(), rows, a, whole);
  CHECK(norm(expected.gradient) > 1e-3);  // a check on zeros proves nothing
  for (const int size : sizes) {
    CAPTURE(size);
    const Result result = evaluate_shared(size, rows, a, shared);
    CHECK(relative_difference(result.loss, expected.loss) < a.values);
    CHECK(relative_difference(result.gradient, expected.gradient) < a.gradients);
    CHECK(relative_difference(result.anchor_losses, expected.anchor_losses) < a.values);
    CHECK(relative_difference(result.lse, expected.lse) < a.values);
    CHECK(result.positives == expected.positives);
    CHECK(result.negatives == expected.negatives);
  }
}

}  // namespace kindred::shared_losses
