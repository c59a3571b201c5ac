#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/engine/memory.h>

namespace kindred {

Accuracies measure_accuracies(Learner& learner, const PretrainOptions& o, Device device, const Dataset& train,
                              const Dataset& evaluation, std::int64_t most_images) {
  FeatureOptions options;
  options.device = device;
  options.precision = o.precision.compute;
  options.pixels = o.pixel_statistics();
  options.image_size = static_cast<int>(o.image_size);
  options.workers = static_cast<int>(o.workers);
  options.limit = most_images;
  options.what = "neighbours";
  options.stop = [] { return interrupt_signal() != 0; };
  const ResNet& encoder = learner.model().encoder;
  const FeatureTable bank = extract_features(encoder, train, options);
  const FeatureTable queries = extract_features(encoder, evaluation, options);
  if (device == Device::cuda) memory_pool(device).trim();  // the training step has its own memory
  if (bank.rows() == 0 || queries.rows() == 0) return {};
  Accuracies accuracies;
  accuracies.neighbours = nearest_neighbour_accuracy(bank, queries, train.classes());
  if (learner.online_probe() != nullptr) accuracies.probe = learner.online_probe()->accuracy(queries);
  return accuracies;
}

}  // namespace kindred
