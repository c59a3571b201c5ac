// A probe of several processes: each trains the classifier of one process, on features that all have computed.
#include "../../engine/communicator/threads.h"
#include "../programs.h"

#include <kindred/apps/evaluation/probe.h>
#include <kindred/models/classifier_file.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace kindred {
namespace {

struct TrainedProbe {
  std::string bytes;          // of its file
  std::vector<float> values;  // of its classifier
  ProbeAccuracy accuracy;
};

enum class ProbeImages { plain, augmented };

// The probes of `size` processes, with batches of `batch` images.
std::vector<TrainedProbe> probes_of(int size, const Dataset& set, std::int64_t batch, ProbeImages images) {
  const TemporaryFolder folder;
  std::vector<TrainedProbe> probes(static_cast<std::size_t>(size));
  run_processes(size, [&](const Communicator& processes) {
    ParameterStore store;
    const ResNet encoder(store, resnet_spec("resnet20"), Stem::cifar);
    store.allocate(Device::cpu, 4);
    FeatureOptions how;
    how.pixels = cifar10_pixels;
    how.image_size = 32;
    how.batch_size = 8;
    how.workers = processes.rank() % 2;
    const FeatureTable table = extract_features(encoder, set, how);
    ProbeOptions options;
    options.epochs = 3;
    options.batch_size = batch;
    options.seed = 6;
    Probe probe(table, set.classes(), options);
    if (images == ProbeImages::plain)
      probe.train_on_features(table);
    else
      probe.train_on_images(encoder, set, how);
    TrainedProbe& result = probes[static_cast<std::size_t>(processes.rank())];
    result.accuracy = probe.evaluate(table);
    const auto file = folder.path / fmt::format("{}.safetensors", processes.rank());
    probe.save(file, set.class_names(), "");
    const Classifier classifier = load_classifier(file, encoder.feature_dim);
    result.values = classifier.weight.to_vector<float>();
    const std::vector<float> bias = classifier.bias.to_vector<float>();
    result.values.insert(result.values.end(), bias.begin(), bias.end());
  });
  for (std::size_t rank = 0; rank < probes.size(); ++rank)
    probes[rank].bytes = read_bytes(folder.path / fmt::format("{}.safetensors", rank));
  return probes;
}

// |a - b| / |b|
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double apart = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    apart += std::pow(double(a[i]) - double(b[i]), 2);
    length += std::pow(double(b[i]), 2);
  }
  REQUIRE(length > 0);
  return std::sqrt(apart / length);
}

TEST_CASE("shared probe: on features, the bytes of one process") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 10), Split::train);
  const TrainedProbe expected = probes_of(1, set, 8, ProbeImages::plain).front();
  CHECK(expected.accuracy.top1 > 0.3);
  for (const int size : {2, 4})
    for (const TrainedProbe& probe : probes_of(size, set, 8, ProbeImages::plain)) {
      CHECK(probe.bytes == expected.bytes);
      CHECK(probe.accuracy.top1 == expected.accuracy.top1);
    }
}

TEST_CASE("shared probe: on augmented images, the classifier of one process, and the same in all") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 10), Split::train);
  for (const auto& [batch, sizes] : {std::pair<std::int64_t, std::vector<int>>{8, {2, 4, 3}}, {2, {3}}}) {
    CAPTURE(batch);
    const TrainedProbe expected = probes_of(1, set, batch, ProbeImages::augmented).front();
    // The views matter.
    CHECK(distance(probes_of(1, set, batch, ProbeImages::plain).front().values, expected.values) > 0.01);
    for (const int size : sizes) {
      CAPTURE(size);
      const auto probes = probes_of(size, set, batch, ProbeImages::augmented);
      for (const TrainedProbe& probe : probes) {
        CHECK(probe.bytes == probes.front().bytes);
        // Features of smaller batches may be rounded differently.
        CHECK(distance(probe.values, expected.values) < 1e-4);
      }
    }
  }
}

}  // namespace
}  // namespace kindred
