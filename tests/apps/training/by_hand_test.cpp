// `pretrain` against its four steps written by hand (by_hand.h): the same flags give the same bytes. This finds
// errors between a flag and the library, which a comparison of the program with itself would miss.
#include "../by_hand.h"

#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/concatenate/concatenate.h>
#include <kindred/losses/cross_entropy/cross_entropy.h>
#include <kindred/losses/feature_queue/feature_queue.h>
#include <kindred/losses/max_margin/max_margin.h>
#include <kindred/losses/n_pairs/n_pairs.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/losses/triplet/triplet.h>
#include <kindred/models/micro_batches.h>
#include <kindred/models/momentum_encoder.h>

#include <cmath>
#include <numbers>

namespace kindred {
namespace {

using by_hand::encoder_after;
using by_hand::encoder_of_pretrain;
using by_hand::for_each_view;
using by_hand::Plan;

auto supcon_with(const SupConOptions& options, int views = 2) {
  return [=](const Tensor& output, const Batch& batch) {
    return supcon(output, for_each_view(batch.labels, views), options);
  };
}

auto triplet_with(const TripletOptions& options) {
  return [=](const Tensor& output, const Batch& batch) {
    return triplet(output, for_each_view(batch.labels, 2), options);
  };
}

TEST_CASE("by hand: supcon, its scale, its temperature, weight decay and momentum") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = supcon_with({.temperature = 0.1f});
  const std::string plain = encoder_after(set, plan);
  CHECK(encoder_of_pretrain(set, "") == plain);
  plan.optimizer = SgdOptions{.momentum = 0.8, .weight_decay = 0.1};
  plan.loss = supcon_with({.temperature = 0.2f, .base_temperature = 0.07f});
  const std::string other = encoder_after(set, plan);
  CHECK(other != plain);
  CHECK(encoder_of_pretrain(
            set, "--temperature 0.2 --base-temperature 0.07 --weight-decay 0.1 --momentum 0.8") == other);
}

TEST_CASE("by hand: every variant, denominator, choice of anchors and cap of supcon") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  const struct {
    const char* flags;
    SupConOptions options;
    int views = 2;
  } cases[] = {
      {"--variant in", {.variant = SupConVariant::in}},
      {"--denominator one-positive", {.denominator = SupConDenominator::one_positive}},
      {"--denominator only-negatives", {.denominator = SupConDenominator::only_negatives}},
      {"--contrast one", {.contrast = SupConContrast::one, .views = 2}},
      {"--positives-cap 2 --views 3", {.views = 3, .positives_cap = 2}, 3},
  };
  std::vector<std::string> all;
  for (const auto& c : cases) {
    CAPTURE(c.flags);
    Plan plan;
    plan.views = c.views;
    plan.loss = supcon_with(c.options, c.views);
    const std::string expected = encoder_after(set, plan);
    for (const std::string& earlier : all) CHECK(earlier != expected);  // each flag changes what is learned
    CHECK(encoder_of_pretrain(set, c.flags) == expected);
    all.push_back(expected);
  }
}

TEST_CASE("by hand: simclr's positives are the other view of the same image") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = [](const Tensor& output, const Batch& batch) {
    SupConStatistics statistics;
    const Tensor loss = supcon(output, for_each_view(batch.indices, 2), {.temperature = 0.5f}, &statistics);
    for (const std::int32_t positives : statistics.positives.to_vector<std::int32_t>()) CHECK(positives == 1);
    return loss;
  };
  CHECK(encoder_of_pretrain(set, "--loss simclr --temperature 0.5") == encoder_after(set, plan));
}

TEST_CASE("by hand: triplets with each mining, n-pairs, max-margin") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  const struct {
    const char* flags;
    std::function<Tensor(const Tensor&, const Batch&)> loss;
  } cases[] = {
      {"--loss triplet", triplet_with({.margin = 0.2f})},
      {"--loss triplet --mining batch-hard --margin 0.7",
       triplet_with({.margin = 0.7f, .mining = TripletMining::batch_hard})},
      {"--loss triplet --mining semi-hard --margin 0.7 --triplets chosen",
       triplet_with(
           {.margin = 0.7f, .mining = TripletMining::semi_hard, .reduction = TripletReduction::chosen})},
      {"--loss n_pairs --temperature 0.3",
       [](const Tensor& output, const Batch& batch) {
         return n_pairs(output, for_each_view(batch.labels, 2), {.temperature = 0.3f});
       }},
      {"--loss max_margin --margin 0.6",
       [](const Tensor& output, const Batch& batch) {
         return max_margin(output, for_each_view(batch.labels, 2), {.margin = 0.6f});
       }},
  };
  for (const auto& c : cases) {
    CAPTURE(c.flags);
    Plan plan;
    plan.loss = c.loss;
    CHECK(encoder_of_pretrain(set, c.flags) == encoder_after(set, plan));
  }
}

TEST_CASE("by hand: cross-entropy on a classifier, with label smoothing, and one view") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.classes = 3;
  plan.views = 1;
  plan.loss = [](const Tensor& logits, const Batch& batch) {
    return cross_entropy(logits, for_each_view(batch.labels, 1), 0.1f);
  };
  CHECK(encoder_of_pretrain(set, "--loss cross_entropy --views 1 --label-smoothing 0.1") ==
        encoder_after(set, plan));
}

TEST_CASE("by hand: LARS, a linear head, none, and a seed") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = supcon_with({});
  plan.optimizer = LarsOptions{.momentum = 0.9, .eta = 0.001, .weight_decay = 0.02};
  plan.head = HeadKind::linear;
  plan.learning_rate = [](std::int64_t step) { return 20 * by_hand::learning_rate(step); };
  CHECK(encoder_of_pretrain(set, "--optimizer lars --weight-decay 0.02 --head linear",
                            "--lr 2 --warmup-epochs 0 ") == encoder_after(set, plan));
  Plan other;
  other.loss = supcon_with({});
  other.head = HeadKind::none;
  other.seed = 7;
  CHECK(encoder_of_pretrain(set, "--head none --seed 7") == encoder_after(set, other));
}

TEST_CASE("by hand: RMSProp, with the constants of Google's SupCon and with others") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = supcon_with({});
  plan.optimizer =
      RmsPropOptions{.rho = 0.9, .momentum = 0.9, .eps = 1, .weight_decay = 1e-4, .initial_mean_square = 1};
  const std::string usual = encoder_after(set, plan);
  CHECK(encoder_of_pretrain(set, "--optimizer rmsprop") == usual);
  plan.optimizer =
      RmsPropOptions{.rho = 0.7, .momentum = 0.8, .eps = 0.01, .weight_decay = 0.02, .initial_mean_square = 1};
  const std::string other = encoder_after(set, plan);
  CHECK(other != usual);
  CHECK(encoder_of_pretrain(set,
                            "--optimizer rmsprop --rmsprop-rho 0.7 --rmsprop-eps 0.01 --momentum 0.8 "
                            "--weight-decay 0.02") == other);
}

TEST_CASE("by hand: AdamW with its own learning rate and weight decay, and with others") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = supcon_with({});
  plan.optimizer = AdamWOptions{.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .weight_decay = 0.01};
  plan.learning_rate = [](std::int64_t step) {
    return 0.001 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / by_hand::steps)) / 2;
  };
  const std::string usual = encoder_after(set, plan);
  CHECK(encoder_of_pretrain(set, "--optimizer adamw", "--warmup-epochs 0 ") == usual);
  // A preset's rates are for its own optimizer.
  CHECK(encoder_of_pretrain(set, "--preset cifar-quick --pixels cifar10 --optimizer adamw",
                            "--warmup-epochs 0 ") == usual);
  plan.optimizer = AdamWOptions{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-8, .weight_decay = 0.2};
  plan.learning_rate = by_hand::learning_rate;
  const std::string other = encoder_after(set, plan);
  CHECK(other != usual);
  CHECK(encoder_of_pretrain(set, "--optimizer adamw --momentum 0.8 --beta2 0.9 --weight-decay 0.2") == other);
}

TEST_CASE("by hand: two seeds draw other images and other weights") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  std::vector<std::int64_t> orders[2];
  std::vector<std::uint8_t> pixels[2];
  for (const std::uint64_t seed : {0, 1}) {
    Loader loader = by_hand::loader(set, seed, 2);
    loader.start_epoch(0);
    for (Batch batch; loader.next(batch);) {
      orders[seed].insert(orders[seed].end(), batch.indices.begin(), batch.indices.end());
      pixels[seed].insert(pixels[seed].end(), batch.images.begin(), batch.images.end());
    }
  }
  CHECK(orders[0] != orders[1]);
  CHECK(pixels[0] != pixels[1]);
  CHECK(encoder_of_pretrain(set, "--seed 0", "--lr 0 ") != encoder_of_pretrain(set, "--seed 1", "--lr 0 "));
}

// The learning rates of four steps as numbers. This finds a schedule that is a step early, or whose warm-up
// starts at another value.
TEST_CASE("by hand: the learning rate of every step") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Plan plan;
  plan.loss = supcon_with({});
  const double cosine[] = {0.1, 0.0853553390593274, 0.05, 0.0146446609406726};
  plan.learning_rate = [&](std::int64_t step) { return cosine[step]; };
  CHECK(encoder_of_pretrain(set, "") == encoder_after(set, plan));
  // Half an epoch of warm-up from 0.01, two steps of four: 0.01 + 0.09 (k + 1) / 2; then the cosine
  // down to a tenth.
  const double warm[] = {0.055, 0.1, 0.01 + 0.09 * 0.5, 0.01 + 0.09 * 0.146446609406726};
  plan.learning_rate = [&](std::int64_t step) { return warm[step]; };
  CHECK(encoder_of_pretrain(set, "", "--lr 0.1 --warmup-epochs 0.5 --warmup-start-lr 0.01 --lr-floor 0.1 ") ==
        encoder_after(set, plan));
}

// ---- contrasts beyond the batch, written step by step

struct Written {
  Written() : model("resnet20", Stem::cifar, HeadKind::mlp) {
    set_compute_threads(2);
    model.store.allocate(Device::cpu, 0);
    optimizer.emplace(model.store, SgdOptions{.momentum = 0.9, .weight_decay = 1e-4});
  }

  // One step on a loss of the model's output. The caller does what follows the update.
  void step(std::int64_t number, const std::function<Tensor()>& loss_of_step) {
    Tape tape;
    model.store.attach(tape);
    tape.backward(loss_of_step());
    optimizer->set_learning_rate(by_hand::learning_rate(number));
    optimizer->step();
  }

  ContrastiveModel model;
  std::optional<Optimizer> optimizer;
};

TEST_CASE("by hand: a queue of past features") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Written written;
  FeatureQueue queue(18, 128, 0, Device::cpu);
  Loader loader = by_hand::loader(set, 0, 2);
  loader.start_epoch(0);
  Batch batch;
  for (std::int64_t step = 0; step < by_hand::steps; ++step) {
    REQUIRE(loader.next(batch));
    const Tensor labels = for_each_view(batch.labels, 2);
    Tensor features;
    written.step(step, [&] {
      features = written.model(by_hand::normalized(batch), Mode::train);
      return supcon_against(features, labels, concatenate(features, queue.features()),
                            concatenate(labels, queue.labels()), 0, {});
    });
    const NoGrad no_grad;
    queue.push(features, labels);
  }
  CHECK(encoder_of_pretrain(set, "--queue 18") == by_hand::encoder_bytes(written.model.store));
}

// The slow encoder's output for the second view of each of the six images.
Tensor keys_of(MomentumEncoder& slow, const Tensor& images) {
  const NoGrad no_grad;
  return slow.copy()(images.rows(6, 12), Mode::train);
}

// The queue holds the slow encoder's keys, not the features that are trained.
TEST_CASE("by hand: a queue of a momentum encoder's keys") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Written written;
  MomentumEncoder slow(written.model, HeadKind::mlp, DType::f32, 0.9);
  FeatureQueue queue(18, 128, 0, Device::cpu);
  Loader loader = by_hand::loader(set, 0, 2);
  loader.start_epoch(0);
  Batch batch;
  for (std::int64_t step = 0; step < by_hand::steps; ++step) {
    REQUIRE(loader.next(batch));
    const Tensor labels = for_each_view(batch.labels, 1), images = by_hand::normalized(batch);
    const Tensor keys = keys_of(slow, images);
    written.step(step, [&] {
      return supcon_against(written.model(images.rows(0, 6), Mode::train), labels,
                            concatenate(keys, queue.features()), concatenate(labels, queue.labels()), 6 + 18,
                            {});
    });
    const NoGrad no_grad;
    slow.follow(written.model);
    queue.push(keys, labels);
  }
  CHECK(encoder_of_pretrain(set, "--queue 18 --momentum-encoder 0.9") ==
        by_hand::encoder_bytes(written.model.store));
}

TEST_CASE(
    "by hand: a momentum encoder is half old and half new after a step at 0.5, and its key is a positive") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  Written written;
  MomentumEncoder slow(written.model, HeadKind::mlp, DType::f32, 0.5);
  Loader loader = by_hand::loader(set, 0, 2);
  loader.start_epoch(0);
  Batch batch;
  for (std::int64_t step = 0; step < by_hand::steps; ++step) {
    REQUIRE(loader.next(batch));
    const Tensor labels = for_each_view(batch.labels, 1), images = by_hand::normalized(batch);
    const Tensor keys = keys_of(slow, images);
    SupConStatistics statistics;
    written.step(step, [&] {
      return supcon_against(written.model(images.rows(0, 6), Mode::train), labels, keys, labels, 6, {},
                            &statistics);
    });
    // The positives of each anchor are the key of its own image and the keys of its class.
    const std::vector<std::int32_t> positives = statistics.positives.to_vector<std::int32_t>();
    for (std::size_t i = 0; i < 6; ++i)
      CHECK(positives[i] == std::count(batch.labels.begin(), batch.labels.end(), batch.labels[i]));
    const std::vector<float> old = slow.copy().store.flat_values().to_vector<float>();
    const std::vector<float> values = written.model.store.flat_values().to_vector<float>();
    const NoGrad no_grad;
    slow.follow(written.model);
    const std::vector<float> now = slow.copy().store.flat_values().to_vector<float>();
    double furthest = 0, moved = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      furthest = std::max(furthest, std::abs(now[i] - (0.5 * old[i] + 0.5 * values[i])));
      moved = std::max(moved, std::abs(double(now[i]) - old[i]));
    }
    CHECK(furthest < 1e-6);
    CHECK(moved > 1e-3);
  }
  CHECK(encoder_of_pretrain(set, "--momentum-encoder 0.5") == by_hand::encoder_bytes(written.model.store));
}

TEST_CASE("by hand: micro-batches, with statistics of each and of the batch") {
  const TemporaryFolder folder;
  const std::string set = by_hand::draw_set(folder);
  for (const BatchNormScope scope : {BatchNormScope::micro, BatchNormScope::full}) {
    CAPTURE(name(scope));
    Written written;
    MicroBatches micro_batches(written.model, scope, 3);  // of 2 images each: --micro-batch 2
    Loader loader = by_hand::loader(set, 0, 2);
    loader.start_epoch(0);
    Batch batch;
    for (std::int64_t step = 0; step < by_hand::steps; ++step) {
      REQUIRE(loader.next(batch));
      Tape tape;
      written.model.store.attach(tape);
      Tensor output = micro_batches.forward(by_hand::normalized(batch)).output;
      tape.backward(supcon(output.set_requires_grad(), for_each_view(batch.labels, 2)));
      micro_batches.backward(tape.gradient(output));
      written.optimizer->set_learning_rate(by_hand::learning_rate(step));
      written.optimizer->step();
    }
    CHECK(encoder_of_pretrain(set, fmt::format("--micro-batch 2 --batch-norm-scope {}", name(scope))) ==
          by_hand::encoder_bytes(written.model.store));
  }
}

}  // namespace
}  // namespace kindred
