// The two linear classifiers (`linear_probe`, and the online probe of `pretrain`) against their steps written
// by hand: the same bits.
#include "../by_hand.h"
#include "../programs.h"

#include <kindred/data/images/decode.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/layers/linear/linear.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

namespace kindred {
namespace {

using by_hand::for_each_view;

constexpr std::size_t feature_dim = 64;

// All images of a set, unchanged and in the order of the set.
Batch whole(const Dataset& set) {
  Batch all;
  for (std::int64_t i = 0; i < set.size(); ++i) {
    const Image image = decode_file(set.name(i)).image;
    REQUIRE(image.pixels.size() == 32 * 32 * 3);  // as large as a view: it is not resized
    all.images.insert(all.images.end(), image.pixels.begin(), image.pixels.end());
    all.labels.push_back(set.label(i));
  }
  return all;
}

// An encoder that nothing trains, and the features of its images.
struct Frozen {
  Frozen() : encoder(store, resnet_spec("resnet20"), Stem::cifar) {
    set_compute_threads(2);
    store.allocate(Device::cpu, 0);
  }
  std::vector<float> features(const Batch& drawn) const {
    return encoder(by_hand::normalized(drawn), Mode::evaluate).to_vector<float>();
  }

  ParameterStore store;
  ResNet encoder;
};

// softmax(W (x - mean) / deviation + b), by SGD on cross-entropy.
struct Classifier {
  Classifier(const std::vector<float>& training, std::uint64_t seed, const SgdOptions& sgd, float smoothing)
      : fc(store, "fc", feature_dim, 3), label_smoothing(smoothing) {
    store.allocate(Device::cpu, seed);
    optimizer.emplace(store, sgd);
    const std::size_t rows = training.size() / feature_dim;
    for (std::size_t d = 0; d < feature_dim; ++d) {
      double sum = 0, squares = 0;
      for (std::size_t i = 0; i < rows; ++i) sum += training[i * feature_dim + d];
      const double average = sum / static_cast<double>(rows);
      for (std::size_t i = 0; i < rows; ++i) squares += std::pow(training[i * feature_dim + d] - average, 2);
      mean.push_back(static_cast<float>(average));
      deviation.push_back(static_cast<float>(std::sqrt(squares / static_cast<double>(rows))));
    }
  }
  void step(std::vector<float> features, const std::vector<std::int32_t>& labels, double rate) {
    const auto rows = static_cast<std::int64_t>(labels.size());
    for (std::size_t i = 0; i < features.size(); ++i)
      features[i] = (features[i] - mean[i % feature_dim]) / deviation[i % feature_dim];
    Tape tape;
    store.attach(tape);
    tape.backward(cross_entropy(fc(Tensor::from(features, {rows, feature_dim}, Device::cpu)),
                                Tensor::from(labels, {rows}, Device::cpu), label_smoothing));
    optimizer->set_learning_rate(rate);
    optimizer->step();
  }
  // The file's bytes: W / deviation, and b - W / deviation . mean, for features that are not normalized.
  std::string bytes(const std::vector<std::string>& names, const ParameterStore& encoder) const {
    std::vector<float> weight = fc.weight.value.to_vector<float>(), bias = fc.bias.value.to_vector<float>();
    for (std::size_t c = 0; c < 3; ++c)
      for (std::size_t d = 0; d < feature_dim; ++d) {
        weight[c * feature_dim + d] /= deviation[d];
        bias[c] -= weight[c * feature_dim + d] * mean[d];
      }
    SafetensorsWriter writer;
    writer.set_metadata("format", "pt");
    writer.set_metadata("classes", json_text(names));
    writer.set_metadata("encoder_xxh3", encoder_checksum(encoder));
    writer.add("fc.weight", Tensor::from(weight, {3, feature_dim}, Device::cpu));
    writer.add("fc.bias", Tensor::from(bias, {3}, Device::cpu));
    const TemporaryFolder folder;
    writer.write(folder / "classifier.safetensors");
    return read_bytes(folder / "classifier.safetensors");
  }

  ParameterStore store;
  Linear fc;
  float label_smoothing;
  std::optional<Optimizer> optimizer;
  std::vector<float> mean, deviation;
};

// Half a cosine from `peak` to 0 over all steps.
double cosine(double peak, std::int64_t step, std::int64_t steps) {
  return peak * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(steps))) / 2;
}

std::string classifier_of_linear_probe(const std::string& set, const std::string& flags) {
  const TemporaryFolder folder;
  const auto result = run_program(
      "linear_probe", set + " --device cpu -j 1 --out " + (folder / "probe").string() + " " + flags);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  return read_bytes(folder / "probe/classifier.safetensors");
}

// On features that are computed once, in `batches` batches an epoch. Each epoch has its own order.
std::string trained_on_features(const Batch& training, const Frozen& encoder,
                                const std::vector<std::string>& names, std::int64_t batch, std::int64_t epochs,
                                double peak, std::uint64_t seed, const SgdOptions& sgd, float smoothing) {
  const std::vector<float> features = encoder.features(training);
  Classifier classifier(features, seed, sgd, smoothing);
  const std::int64_t batches = training.rows() / batch;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    std::vector<std::size_t> order(static_cast<std::size_t>(training.rows()));
    std::iota(order.begin(), order.end(), 0);
    RandomStream random(seed, Purpose::shuffle, static_cast<std::uint32_t>(epoch));
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
    for (std::int64_t step = 0; step < batches; ++step) {
      std::vector<float> rows;
      std::vector<std::int32_t> labels;
      for (std::int64_t i = step * batch; i < (step + 1) * batch; ++i) {
        const std::size_t row = order[static_cast<std::size_t>(i)];
        rows.insert(rows.end(), &features[row * feature_dim], &features[row * feature_dim] + feature_dim);
        labels.push_back(training.labels[row]);
      }
      classifier.step(rows, labels, cosine(peak, epoch * batches + step, epochs * batches));
    }
  }
  return classifier.bytes(names, encoder.store);
}

TEST_CASE("by hand: linear_probe on features, as it is by itself and with every flag") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder), encoder = folder / "encoder.safetensors";
  const Dataset training = *open_dataset(set, Split::train);
  const Batch images = whole(training);

  // Random weights, which depend on the seed.
  const Frozen untrained;
  const std::string usual = trained_on_features(images, untrained, training.class_names(), 24, 30, 0.1, 0,
                                                {.momentum = 0.9, .weight_decay = 0}, 0);
  CHECK(classifier_of_linear_probe(set, "--untrained resnet20 --image-size 32 --pixels cifar10") == usual);

  // An encoder from a file, which also says how pixels are normalized.
  std::ofstream(encoder, std::ios::binary) << by_hand::encoder_of_pretrain(set, "");
  Frozen frozen;
  load_encoder(encoder, frozen.store);
  const std::string other = trained_on_features(images, frozen, training.class_names(), 5, 2, 0.3, 3,
                                                {.momentum = 0.8, .weight_decay = 0.01}, 0.1f);
  CHECK(other != usual);
  CHECK(classifier_of_linear_probe(set, "--encoder " + encoder +
                                            " -b 5 --epochs 2 --lr 0.3 --seed 3 --momentum 0.8 "
                                            "--weight-decay 0.01 --label-smoothing 0.1") == other);
}

TEST_CASE("by hand: linear_probe on augmented images, whose second epoch has other views") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  const Dataset training = *open_dataset(set, Split::train);
  Frozen frozen;
  frozen.store.allocate(Device::cpu, 5);
  const std::vector<float> features = frozen.features(whole(training));
  Loader loader = by_hand::loader(set, 5, 1, "probe");
  std::map<std::int64_t, std::vector<std::uint8_t>> views[2];  // of each image, by epoch
  const auto trained = [&](std::uint32_t second_epoch) {
    Classifier classifier(features, 5, {.momentum = 0.9, .weight_decay = 0.02}, 0);
    std::int64_t step = 0;
    for (const std::uint32_t epoch : {std::uint32_t{0}, second_epoch}) {
      loader.start_epoch(epoch);
      for (Batch batch; loader.next(batch); ++step) {
        classifier.step(frozen.features(batch), batch.labels, cosine(0.2, step, 8));
        for (std::size_t i = 0; i < 6; ++i)
          views[epoch][batch.indices[i]] = {&batch.images[i * 3072], &batch.images[i * 3072] + 3072};
      }
    }
    REQUIRE(step == 8);
    return classifier.bytes(training.class_names(), frozen.store);
  };
  const std::string right = trained(1);
  for (std::int64_t image = 0; image < 24; ++image) CHECK(views[0].at(image) != views[1].at(image));
  CHECK(right != trained(0));  // the first epoch once more
  CHECK(classifier_of_linear_probe(set,
                                   "--untrained resnet20 --image-size 32 --pixels cifar10 --augment probe -b 6 "
                                   "--epochs 2 --lr 0.2 --weight-decay 0.02 --seed 5") == right);
}

TEST_CASE("by hand: an online probe's loss, weights and accuracy") {
  // 24 training images, 8 of each class, and 3, 10 and 10 evaluation images: a classifier that names only one
  // class has different scores on the two.
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 40), run = folder / "run";
  const std::string rare = set + "/val/" + open_dataset(set, Split::train)->class_names().front();
  for (int i = 3; i < 10; ++i) REQUIRE(std::filesystem::remove(rare + fmt::format("/{:05}.jpg", i)));
  const auto result =
      run_program("pretrain", set + " --out " + run +
                                  " --device cpu --model resnet20 --image-size 32 -b 6 -j 1 --epochs 1 "
                                  "--limit-per-class 8 --limit-eval-per-class 0 --online-probe --knn-every 1 " +
                                  by_hand::schedule_flags);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);

  set_compute_threads(2);
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp);
  model.store.allocate(Device::cpu, 0);
  Optimizer optimizer(model.store, SgdOptions{.momentum = 0.9, .weight_decay = 1e-4});
  ParameterStore beside;
  const BatchNorm norm(beside, "norm", feature_dim);
  const Linear fc(beside, "fc", feature_dim, 3);
  beside.allocate(Device::cpu, 0);
  Optimizer probe_optimizer(beside, SgdOptions{.momentum = 0.9, .weight_decay = 0});
  Loader loader = by_hand::loader(set, 0, 2, "cifar", 8);
  loader.start_epoch(0);
  double probe_loss = 0;
  Batch batch;
  for (std::int64_t step = 0; step < by_hand::steps; ++step) {
    REQUIRE(loader.next(batch));
    const Tensor labels = for_each_view(batch.labels, 2);
    Tensor features;
    {
      Tape tape;
      model.store.attach(tape);
      features = model.encoder(by_hand::normalized(batch), Mode::train);
      tape.backward(supcon(model.project(features), labels));
      optimizer.set_learning_rate(by_hand::learning_rate(step));
      optimizer.step();
    }
    Tape tape;
    beside.attach(tape);
    const Tensor alone = Tensor::from(features.to_vector<float>(), features.shape(), Device::cpu);
    const Tensor loss = cross_entropy(fc(norm(alone, Mode::train)), labels);
    tape.backward(loss);
    probe_optimizer.set_learning_rate(0.1 * cosine(1, step, by_hand::steps));
    probe_optimizer.step();
    probe_loss += loss.to_vector<double>()[0] / by_hand::steps;
  }
  CHECK(read_bytes(run + "/encoder.safetensors") == by_hand::encoder_bytes(model.store));
  const SafetensorsFile checkpoint(run + "/checkpoint.safetensors");
  for (const auto& [name, tensor] : beside.tensors("online_probe.")) {
    CAPTURE(name);
    CHECK(checkpoint.read<float>(*checkpoint.find(name)) == tensor.to_vector<float>());
  }

  const NoGrad no_grad;
  const auto accuracy_on = [&](const Batch& images) {
    const std::vector<float> logits =
        fc(norm(model.encoder(by_hand::normalized(images), Mode::evaluate), Mode::evaluate)).to_vector<float>();
    double right = 0;
    for (std::size_t i = 0; i < images.labels.size(); ++i)
      right += std::max_element(&logits[3 * i], &logits[3 * i] + 3) - &logits[3 * i] == images.labels[i];
    return right / static_cast<double>(images.rows());
  };
  const double accuracy = accuracy_on(whole(*open_dataset(set, Split::evaluation)));
  const double of_training = accuracy_on(whole(*open_dataset(set, Split::train, {.limit_per_class = 8})));
  const auto line = parse_json(read_bytes(run + "/metrics.jsonl"));
  CHECK(line.at("probe_loss").get<double>() == doctest::Approx(probe_loss).epsilon(1e-6));
  CHECK(line.at("probe_top1").get<double>() == doctest::Approx(accuracy).epsilon(1e-9));
  CHECK(accuracy > 0);
  CHECK(accuracy < 1);
  CHECK(accuracy != doctest::Approx(of_training).epsilon(0.01));
}

}  // namespace
}  // namespace kindred
