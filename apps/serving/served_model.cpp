#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/serving/served_model.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/image_input/image_input.h>

#include <cstddef>
#include <utility>

namespace kindred {

ServedModel::ServedModel(std::unique_ptr<FrozenEncoder> encoder, std::optional<Classifier> classifier,
                         NeighbourSearch search, std::int64_t top)
    : encoder_(std::move(encoder)), classifier_(std::move(classifier)), search_(std::move(search)), top_(top) {}

std::vector<ImageResult> ServedModel::compute(std::span<const std::uint8_t> pixels, std::int64_t images) const {
  const NoGrad no_grad;
  const FeatureOptions& input = encoder_->features;
  const std::int64_t side = input.image_size;
  const Tensor bytes = Tensor::from(std::vector<std::uint8_t>(pixels.begin(), pixels.end()),
                                    {images, side, side, 3}, input.device);
  const Tensor features = finite_on_host(
      (*encoder_->encoder)(normalize_images(bytes, input.pixels, input.precision), Mode::evaluate));

  const auto dim = static_cast<std::size_t>(features.dim(1)), rows = static_cast<std::size_t>(images);
  const std::span<const float> values(features.data<float>(), rows * dim);
  std::vector<ImageResult> results(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto row = values.subspan(i * dim, dim);
    results[i].feature.assign(row.begin(), row.end());
  }
  if (classifier_) {
    const std::vector<double> log_probabilities = class_log_probabilities(*classifier_, features);
    const auto classes = static_cast<std::size_t>(classifier_->classes());
    for (std::size_t i = 0; i < rows; ++i)
      results[i].predictions =
          most_probable(*classifier_, std::span(log_probabilities).subspan(i * classes, classes), top_);
  }
  if (search_) {
    auto neighbours = search_(values, images);
    for (std::size_t i = 0; i < rows; ++i) results[i].neighbours = std::move(neighbours[i]);
  }
  return results;
}

void ServedModel::warm_up(std::int64_t batch) const {
  const auto side = static_cast<std::size_t>(encoder_->features.image_size);
  const std::vector<std::uint8_t> gray(static_cast<std::size_t>(batch) * side * side * 3, 128);
  compute(std::span(gray).first(side * side * 3), 1);
  if (batch > 1) compute(gray, batch);
}

}  // namespace kindred
