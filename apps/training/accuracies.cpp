#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/step_parts.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/memory.h>

#include <algorithm>
#include <utility>

namespace kindred {
namespace {

FeatureOptions feature_options(const PretrainOptions& o, Device device) {
  FeatureOptions options;
  options.device = device;
  options.precision = o.precision.compute;
  options.pixels = o.pixel_statistics();
  options.image_size = static_cast<int>(o.image_size);
  options.resize = o.resize;
  options.batch_size = static_cast<int>(images_measured_at_once(o));
  options.workers = static_cast<int>(o.workers);
  options.stop = [] { return interrupt_signal() != 0; };
  return options;
}

// Which images the rows of features are of: all up to the last row but those that could not be read. `bad` is in the order
// of the images.
std::vector<std::int64_t> readable_rows(std::int64_t rows, const std::vector<BadImage>& bad) {
  std::vector<std::int64_t> readable;
  auto next = bad.begin();
  for (std::int64_t i = 0; static_cast<std::int64_t>(readable.size()) < rows; ++i) {
    while (next != bad.end() && next->index < i) ++next;
    if (next == bad.end() || next->index != i || next->outcome != Outcome::rejected) readable.push_back(i);
  }
  return readable;
}

// What the first process has. Machines of different kinds round differently, and all must judge the run alike.
Accuracies of_first_process(const Accuracies& own) {
  Accuracies shared = own;
  for (std::optional<double>* figure :
       {&shared.neighbours, &shared.probe, &shared.classifier, &shared.classifier_top5}) {
    if (!figure->has_value()) continue;  // in none of them
    const Tensor value = Tensor::full({1}, **figure, DType::f64, Device::cpu);
    world().broadcast(Output(value));
    *figure = value.data<double>()[0];
  }
  return shared;
}

}  // namespace

Chance chance_among(std::span<const std::int32_t> labels, int classes) {
  std::vector<std::int64_t> images(static_cast<std::size_t>(classes));
  for (const std::int32_t label : labels) ++images[static_cast<std::size_t>(label)];
  const std::int64_t most = images.empty() ? 0 : *std::max_element(images.begin(), images.end());
  const auto all = static_cast<std::int64_t>(labels.size());
  return {static_cast<double>(most) / static_cast<double>(std::max<std::int64_t>(1, all)), all};
}

std::int64_t images_measured_at_once(const PretrainOptions& o) {
  constexpr std::int64_t usual = FeatureInput{}.batch_size;
  const std::int64_t images = o.micro_batch > 0 ? o.micro_batch : local_batch(o);
  const std::int64_t pixels = images * static_cast<std::int64_t>(pixels_of(o.view_groups));
  return std::clamp<std::int64_t>(pixels / (o.image_size * o.image_size), 1, usual);
}

Accuracies measure_accuracies(Learner& learner, const PretrainOptions& o, Device device, const Dataset& train,
                              const Dataset& evaluation, std::int64_t most_images, MeasuredImages* measured) {
  FeatureOptions options = feature_options(o, device);
  options.limit = most_images;
  options.what = "neighbours";
  const ResNet& encoder = learner.model().encoder;
  const FeatureTable bank = extract_features(encoder, train, options);
  Accuracies accuracies;
  if (measured != nullptr) *measured = {};
  const Dataset looked_at = evenly_spread(evaluation, most_images);
  FeatureTable queries = extract_features(encoder, looked_at, options, &accuracies.bad_images);
  if (std::any_of(accuracies.bad_images.begin(), accuracies.bad_images.end(),
                  [](const BadImage& image) { return image.outcome == Outcome::rejected; }))
    accuracies.chance = chance_among(queries.labels, evaluation.classes());
  if (device == Device::cuda) memory_pool(device).trim();  // the training step has its own memory
  if (bank.rows() == 0 || queries.rows() == 0) return accuracies;
  accuracies.neighbours = nearest_neighbour_accuracy(bank, queries, train.classes());
  if (learner.online_probe() != nullptr) accuracies.probe = learner.online_probe()->accuracy(queries);
  if (learner.model().classifier) {
    const Classifier classifier = classifier_in(learner.model().store, train.class_names());
    Scores scores(classifier.classes());
    scores.add(classifier, Tensor::from(queries.features, {queries.rows(), queries.dim}, Device::cpu),
               queries.labels);
    accuracies.classifier = scores.top1();
    accuracies.classifier_top5 = scores.top5();
  }
  if (measured != nullptr) {
    measured->rows = readable_rows(queries.rows(), accuracies.bad_images);
    measured->images = looked_at;
    measured->features = std::move(queries);
  }
  return of_first_process(accuracies);
}

Scores measure_classifier(const Learner& learner, const PretrainOptions& o, Device device,
                          const Dataset& evaluation) {
  const Classifier classifier = classifier_in(learner.model().store, evaluation.class_names());
  Scores scores(classifier.classes());
  FeatureOptions options = feature_options(o, device);
  options.what = "classifier";
  for_each_feature_batch(
      learner.model().encoder, evaluation, options,
      [&](const Batch& batch, const Tensor& features) { scores.add(classifier, features, batch.labels); });
  return scores;
}

}  // namespace kindred
