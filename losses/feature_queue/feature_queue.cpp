#include <kindred/engine/random/philox.h>
#include <kindred/losses/feature_queue/feature_queue.h>

#include <cmath>

namespace kindred {
namespace {

// Moves all rows back by the number of incoming rows, which go to the front. Uses a copy, because source and
// target overlap.
void shift_in(Tensor& queue, const Tensor& incoming) {
  const std::int64_t rows = queue.dim(0), in = incoming.dim(0);
  if (in < rows) {
    const Tensor staying = queue.rows(0, rows - in);
    queue.rows(in, rows).copy_from(staying.to(queue.device(), queue.dtype()));
  }
  queue.rows(0, in).copy_from(incoming);
}

}  // namespace

FeatureQueue::FeatureQueue(std::int64_t rows, std::int64_t dim, std::uint64_t seed, Device device, DType type)
    : features_(Tensor::empty({rows, dim}, type, device)), labels_(Tensor::empty({rows}, DType::i32, device)) {
  check(rows > 0 && dim > 0, ExitCode::internal, "a queue of {} rows of {}", rows, dim);
  labels_.fill(-1);
  if (device == Device::plan) return;
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  RandomStream random(seed, Purpose::queue);
  for (std::int64_t row = 0; row < rows; ++row) {
    float* const value = &values[static_cast<std::size_t>(row * dim)];
    double squares = 0;
    for (std::int64_t d = 0; d < dim; ++d) {
      value[d] = random.normal();
      squares += static_cast<double>(value[d]) * value[d];
    }
    for (std::int64_t d = 0; d < dim; ++d) value[d] = static_cast<float>(value[d] / std::sqrt(squares));
  }
  features_.copy_from(Tensor::from(values, {rows, dim}, device));
}

void FeatureQueue::push(const Tensor& features, const Tensor& labels) {
  check(features.dim(0) <= features_.dim(0), ExitCode::internal, "{} rows do not fit into a queue of {}",
        features.dim(0), features_.dim(0));
  check_shape(labels, {features.dim(0)}, "the labels of a queue's rows");
  shift_in(features_, features);
  shift_in(labels_, labels);
}

std::vector<std::pair<std::string, Tensor>> FeatureQueue::state() const {
  return {{"queue.features", features_}, {"queue.labels", labels_}};
}

}  // namespace kindred
