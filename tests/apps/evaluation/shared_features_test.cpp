// Features, neighbours and accuracies of several processes: in each of them what one process computes, to the bit. "Processes"
// are threads here, so what one computes is computed in a thread too.
#include "../../engine/communicator/threads.h"
#include "../../errors.h"
#include "../programs.h"
#include "../training/small_options.h"

#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/data/sets/subset.h>
#include <kindred/engine/random/philox.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

namespace kindred {
namespace {

// Random weights of the smallest network.
struct SmallEncoder {
  SmallEncoder() : encoder(store, resnet_spec("resnet20"), Stem::cifar) { store.allocate(Device::cpu, 3); }
  ParameterStore store;
  ResNet encoder;
};

FeatureOptions how_in_test(int batch_size) {
  FeatureOptions how;
  how.pixels = cifar10_pixels;
  how.image_size = 32;
  how.batch_size = batch_size;
  how.what = "test";
  return how;
}

// 60 training images in three classes, of which images 14 to 20 (the third batch of 7) and some others cannot be read.
struct SetWithHoles {
  SetWithHoles() : path(draw_tiny_set(folder, 3, 20)), images(*open_dataset(path, Split::train)) {
    REQUIRE(images.size() == 60);
    for (std::int64_t i = 14; i < 21; ++i) write_bytes(images.name(i), "no picture");
    for (const std::int64_t i : {0, 33, 59}) write_bytes(images.name(i), "none either");
  }
  TemporaryFolder folder;
  std::string path;
  Dataset images;
};

struct Found {
  FeatureTable table;
  std::vector<BadImage> bad;
};

// What each of `size` processes gets.
template <typename Result, typename Body>
std::vector<Result> of_each_process(int size, const Body& body) {
  std::vector<Result> results(static_cast<std::size_t>(size));
  run_processes(size, [&](const Communicator& processes) {
    results[static_cast<std::size_t>(processes.rank())] = body(processes);
  });
  return results;
}

bool same_tables(const FeatureTable& a, const FeatureTable& b) {
  return a.dim == b.dim && a.labels == b.labels && a.features == b.features;
}

bool same_lists(const std::vector<BadImage>& a, const std::vector<BadImage>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const BadImage& x, const BadImage& y) {
    return x.index == y.index && x.path == y.path && x.outcome == y.outcome && x.reason == y.reason;
  });
}

TEST_CASE("shared features: the table and the bad images of one process, for any number of processes") {
  const SetWithHoles set;
  for (const auto& [batch_size, limit] : {std::pair{7, 0}, {7, 25}, {64, 0}, {1, 10}}) {
    CAPTURE(batch_size);
    CAPTURE(limit);
    const auto extract = [&, batch = batch_size, most = limit](const Communicator& processes) {
      const SmallEncoder small;
      FeatureOptions how = how_in_test(batch);
      how.limit = most;
      how.workers = processes.rank() % 2;
      Found found;
      found.table = extract_features(small.encoder, set.images, how, &found.bad);
      return found;
    };
    const Found expected = of_each_process<Found>(1, extract).front();
    const std::int64_t images = limit > 0 ? limit : 60;
    CHECK(expected.table.rows() + std::ssize(expected.bad) == images);
    CHECK(expected.bad.size() >= 2);
    CHECK(expected.table.dim == 64);
    const auto [least, most] =
        std::minmax_element(expected.table.features.begin(), expected.table.features.end());
    CHECK(*least < *most);
    for (const int size : {2, 3, 4}) {
      CAPTURE(size);
      for (const Found& found : of_each_process<Found>(size, extract)) {
        CHECK(same_tables(found.table, expected.table));
        CHECK(same_lists(found.bad, expected.bad));
      }
    }
  }
}

struct Visited {
  std::vector<std::int64_t> indices, drawn;
  std::vector<std::int32_t> labels;
  std::vector<float> features;
  std::int64_t batches = 0;
  bool operator==(const Visited&) const = default;
};

TEST_CASE("shared features: every process visits all batches in order, with the pixels that were changed") {
  const SetWithHoles set;
  const auto visit = [&](const Communicator& processes) {
    const SmallEncoder small;
    Visited visited;
    const auto change = [](Batch& batch) {  // differs from image to image
      const std::size_t bytes = batch.images.size() / batch.labels.size();
      for (std::size_t i = 0; i < batch.images.size(); ++i)
        batch.images[i] = static_cast<std::uint8_t>(batch.images[i] ^ batch.indices[i / bytes]);
    };
    for_each_feature_batch(
        small.encoder, set.images, how_in_test(7),
        [&](const Batch& batch, const Tensor& features) {
          ++visited.batches;
          visited.indices.insert(visited.indices.end(), batch.indices.begin(), batch.indices.end());
          visited.drawn.insert(visited.drawn.end(), batch.drawn.begin(), batch.drawn.end());
          visited.labels.insert(visited.labels.end(), batch.labels.begin(), batch.labels.end());
          const std::vector<float> values = features.to_vector<float>();
          visited.features.insert(visited.features.end(), values.begin(), values.end());
        },
        nullptr, change, processes);
    return visited;
  };
  const Visited expected = of_each_process<Visited>(1, visit).front();
  CHECK(expected.batches == 8);  // of nine, one has nothing left
  CHECK(expected.indices.size() == 50);
  CHECK(std::is_sorted(expected.indices.begin(), expected.indices.end()));
  for (const int size : {2, 3, 4})
    for (const Visited& visited : of_each_process<Visited>(size, visit)) CHECK(visited == expected);
  // The change is seen.
  const SmallEncoder small;
  CHECK(extract_features(small.encoder, set.images, how_in_test(7)).features != expected.features);
}

TEST_CASE("shared features: a process that is asked to stop stops all behind the same batch") {
  const SetWithHoles set;
  const int size = 3;
  for (const int stops_at : {1, 2, 4}) {  // batches that rank 1 has visited
    CAPTURE(stops_at);
    const auto extract = [&](const Communicator& processes) {
      const SmallEncoder small;
      FeatureOptions how = how_in_test(7);
      int visited = 0;
      how.stop = [&] { return ++visited >= stops_at && processes.rank() == 1; };
      Found found;
      found.table = extract_features(small.encoder, set.images, how, &found.bad);
      return found;
    };
    const auto all = of_each_process<Found>(size, extract);
    for (const Found& found : all) {
      CHECK(same_tables(found.table, all[0].table));
      CHECK(same_lists(found.bad, all[0].bad));
    }
    // Rounds of three batches; the third batch is empty, and so is the first image.
    CHECK(all[0].table.rows() == (stops_at <= 2 ? 13 : 13 + 20));
  }
}

// Pictures of which one throws.
class ThrowingSource : public SampleSource {
 public:
  std::string name(std::int64_t i) const override { return fmt::format("sample {}", i); }
  void load(std::int64_t i, Decoded& out) const override {
    if (i == 30) throw std::runtime_error("planted");
    out = {};
    out.outcome = Outcome::ok;
    out.image.resize(32, 32);
    out.picture_height = out.picture_width = 32;
  }
};

TEST_CASE("shared features: an error in one process ends all") {
  const Dataset set({"a"}, std::vector<std::int32_t>(60), std::make_shared<ThrowingSource>(), true);
  for (const int size : {1, 2, 4})
    CHECK_THROWS_WITH_AS(run_processes(size,
                                       [&](const Communicator&) {
                                         const SmallEncoder small;
                                         extract_features(small.encoder, set, how_in_test(7));
                                       }),
                         "planted", std::runtime_error);
}

// ---- neighbours

FeatureTable random_table(std::int64_t count, std::uint32_t which) {
  FeatureTable table;
  table.dim = 6;
  RandomStream random(29, Purpose::test, which);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<std::int32_t>(random.below(5));
    for (std::int64_t d = 0; d < table.dim; ++d)
      table.features.push_back(random.normal() + (d == label ? 1.5f : 0.0f));
    table.labels.push_back(label);
  }
  return table;
}

TEST_CASE("shared neighbours: the accuracy of one process, also with fewer tiles of queries than processes") {
  const FeatureTable bank = random_table(140, 0);
  for (const std::int64_t count : {40, 256, 257, 1300}) {  // a tile is 256 queries
    CAPTURE(count);
    const FeatureTable queries = random_table(count, 1);
    const auto measure = [&](const Communicator&) { return nearest_neighbour_accuracy(bank, queries, 5, 7); };
    const double expected = of_each_process<double>(1, measure).front();
    CHECK(expected > 0.3);
    CHECK(expected < 0.95);
    for (const int size : {2, 3, 4, 7})
      for (const double accuracy : of_each_process<double>(size, measure)) CHECK(accuracy == expected);
  }
}

// ---- what a run measures

TEST_CASE("shared accuracies: those of one process") {
  const SetWithHoles set;
  const Dataset evaluation = *open_dataset(set.path, Split::evaluation);
  PretrainOptions o = small_options(32, 12);
  o.loss = "cross_entropy";
  o.micro_batch = 3;  // as many images at a time, whatever the number of processes
  o.online_probe = true;
  struct Measured {
    Accuracies accuracies;
    std::int64_t right = 0, images = 0;
    double likelihood = 0;
  };
  const auto measure = [&](const Communicator&) {
    Learner learner(o, Device::cpu, 3);
    Measured measured;
    measured.accuracies = measure_accuracies(learner, o, Device::cpu, set.images, evaluation, 40);
    const Scores scores = measure_classifier(learner, o, Device::cpu, set.images);
    measured.images = scores.images();
    for (int c = 0; c < 3; ++c) measured.right += scores.confused(c, c);
    measured.likelihood = scores.negative_log_likelihood();
    return measured;
  };
  const Measured expected = of_each_process<Measured>(1, measure).front();
  CHECK(expected.images == 50);
  CHECK(expected.accuracies.neighbours.value() > 0);
  CHECK(expected.likelihood > 0);
  for (const int size : {2, 4})
    for (const Measured& measured : of_each_process<Measured>(size, measure)) {
      CHECK(measured.accuracies.neighbours.value() == expected.accuracies.neighbours.value());
      CHECK(measured.accuracies.probe.value() == expected.accuracies.probe.value());
      CHECK(measured.accuracies.classifier.value() == expected.accuracies.classifier.value());
      CHECK(measured.accuracies.classifier_top5.value() == expected.accuracies.classifier_top5.value());
      CHECK(measured.images == expected.images);
      CHECK(measured.right == expected.right);
      CHECK(measured.likelihood == expected.likelihood);  // sums in the same order
    }
}

TEST_CASE("shared accuracies: the measured images are those that can be read, each with its own features") {
  const SetWithHoles set;
  for (const std::int64_t i : {1, 12, 30, 45}) {  // without the end marker they are damaged
    const std::string bytes = read_bytes(set.images.name(i));
    write_bytes(set.images.name(i), bytes.substr(0, bytes.size() - 2));
  }
  PretrainOptions o = small_options(32, 12);
  o.micro_batch = 3;
  constexpr std::int64_t most = 40;
  // By hand: of 60 images 40, evenly spread, and of these the ones that load.
  std::vector<std::int64_t> readable;
  std::vector<std::string> names;
  std::int64_t rejected = 0, damaged = 0;
  for (std::int64_t k = 0; k < most; ++k) {
    const std::int64_t i = k * 60 / most;
    const Outcome outcome = set.images.load(i).outcome;
    rejected += outcome == Outcome::rejected;
    damaged += outcome == Outcome::damaged;
    if (outcome == Outcome::rejected) continue;
    readable.push_back(i);
    names.push_back(set.images.name(i));
  }
  REQUIRE(rejected >= 5);
  REQUIRE(damaged >= 2);
  const Learner same(o, Device::cpu, 3);
  const FeatureTable alone =
      extract_features(same.model().encoder, subset(set.images, readable), how_in_test(1));
  for (const int size : {1, 2, 4}) {
    CAPTURE(size);
    const auto all = of_each_process<MeasuredImages>(size, [&](const Communicator&) {
      Learner learner(o, Device::cpu, 3);
      MeasuredImages measured;
      measured.rows = {7};  // of an earlier measurement
      const Accuracies accuracies =
          measure_accuracies(learner, o, Device::cpu, set.images, set.images, most, &measured);
      CHECK(std::ssize(accuracies.bad_images) == rejected + damaged);
      return measured;
    });
    for (const MeasuredImages& measured : all) {
      REQUIRE(measured.images);
      CHECK(measured.images->size() == most);
      std::vector<std::string> measured_names;
      for (const std::int64_t row : measured.rows) measured_names.push_back(measured.images->name(row));
      CHECK(measured_names == names);
      REQUIRE(measured.features.features.size() == alone.features.size());
      CHECK(measured.features.labels == alone.labels);
      double most_apart = 0, largest = 0;
      for (std::size_t i = 0; i < alone.features.size(); ++i) {
        most_apart = std::max(most_apart, std::abs(double(alone.features[i]) - measured.features.features[i]));
        largest = std::max(largest, std::abs(double(alone.features[i])));
      }
      CHECK(largest > 0);
      CHECK(most_apart <= 1e-4 * largest);  // other numbers of images at a time
    }
  }
}

}  // namespace
}  // namespace kindred
