// Training steps of several processes against those of one with the same batch, for every loss and option.
#include "shared_steps.h"
#include "../../gradcheck/gradcheck.h"

#include <doctest/doctest.h>

#include <cmath>
#include <functional>

namespace kindred {
namespace {

using namespace shared_steps;
using gradcheck::relative_difference;

struct Tolerance {
  double loss = 1e-12;       // of the first step, relative
  double gradients = 1e-10;  // norm-wise, of the first step; also its running statistics and features
  double later = 1e-8;       // norm-wise, after more steps, which amplify rounding: losses, weights, states
};

void check_equal(const Trained& several, const Trained& one, const Tolerance& tolerance = {}) {
  REQUIRE(several.losses.size() == one.losses.size());
  CHECK(std::abs(several.losses[0] - one.losses[0]) <= tolerance.loss * std::abs(one.losses[0]));
  CHECK(one.losses[0] > 1e-3);
  CHECK(relative_difference(several.losses, one.losses) < tolerance.later);
  CHECK(relative_difference(Doubles(one.gradients.size()), one.gradients) == doctest::Approx(1));  // not zero
  CHECK(relative_difference(several.gradients, one.gradients) < tolerance.gradients);
  CHECK(relative_difference(several.running, one.running) < tolerance.gradients);
  CHECK(relative_difference(several.features, one.features) < tolerance.gradients);
  CHECK(several.positives == one.positives);
  CHECK(relative_difference(several.values, one.values) < tolerance.later);
  CHECK(relative_difference(several.states, one.states) < tolerance.later);
}

struct Option {
  const char* name;
  std::function<void(PretrainOptions&)> choose;
};

const Option losses_of_test[] = {
    {"supcon", [](PretrainOptions&) {}},
    {"supcon, in", [](PretrainOptions& o) { o.loss_flags.variant = "in"; }},
    {"supcon, one positive", [](PretrainOptions& o) { o.loss_flags.denominator = "one-positive"; }},
    {"supcon, in, only negatives",
     [](PretrainOptions& o) {
       o.loss_flags.variant = "in";
       o.loss_flags.denominator = "only-negatives";
     }},
    {"supcon, anchors are first views", [](PretrainOptions& o) { o.loss_flags.contrast = "one"; }},
    {"supcon with a cap, three views",
     [](PretrainOptions& o) {
       o.views = 3;
       o.view_groups[0].count = 3;
       o.loss_flags.positives_cap = 3;
     }},
    {"supcon, scaled", [](PretrainOptions& o) { o.base_temperature = 0.07; }},
    {"simclr", [](PretrainOptions& o) { o.loss = "simclr"; }},
    {"triplet", [](PretrainOptions& o) { o.loss = "triplet"; }},
    {"triplet, batch-hard",
     [](PretrainOptions& o) {
       o.loss = "triplet";
       o.loss_flags.mining = "batch-hard";
     }},
    {"triplet, semi-hard, chosen",
     [](PretrainOptions& o) {
       o.loss = "triplet";
       o.loss_flags.mining = "semi-hard";
       o.loss_flags.triplets = "chosen";
     }},
    {"n_pairs", [](PretrainOptions& o) { o.loss = "n_pairs"; }},
    {"max_margin", [](PretrainOptions& o) { o.loss = "max_margin"; }},
    {"cross_entropy",
     [](PretrainOptions& o) {
       o.loss = "cross_entropy";
       o.loss_flags.label_smoothing = 0.1;
     }},
};

const Option options_of_test[] = {
    {"queue", [](PretrainOptions& o) { o.queue = 21; }},
    {"queue, anchors are first views, in",
     [](PretrainOptions& o) {
       o.queue = 16;
       o.loss_flags.contrast = "one";
       o.loss_flags.variant = "in";
     }},
    {"momentum encoder, three views",
     [](PretrainOptions& o) {
       o.momentum_encoder = 0.9;
       o.views = 3;
       o.view_groups[0].count = 3;
     }},
    {"momentum encoder and queue, simclr",
     [](PretrainOptions& o) {
       o.momentum_encoder = 0.5;
       o.queue = 19;
       o.loss = "simclr";
     }},
    {"multi-crop",
     [](PretrainOptions& o) {
       o.views = 4;
       o.image_size = 8;
       o.view_groups = {{recipe("none"), 8, 1}, {recipe("none"), 4, 3}};
     }},
    {"micro-batches",
     [](PretrainOptions& o) {
       o.micro_batch = 1;
       o.batch_norm_scope = BatchNormScope::full;
     }},
    {"micro-batches, momentum encoder and queue",
     [](PretrainOptions& o) {
       o.micro_batch = 2;
       o.batch_norm_scope = BatchNormScope::full;
       o.momentum_encoder = 0.9;
       o.queue = 30;
     }},
    {"online probe", [](PretrainOptions& o) { o.online_probe = true; }},
    {"online probe, momentum encoder, a frozen stage",
     [](PretrainOptions& o) {
       o.online_probe = true;
       o.momentum_encoder = 0.9;
       o.freeze_until = "layer1";
     }},
    {"no head", [](PretrainOptions& o) { o.head = HeadKind::none; }},
};

TEST_CASE("steps of several processes: with each loss they are those of one, in f64") {
  for (const Option& loss : losses_of_test) {
    PretrainOptions o = exact_options();
    loss.choose(o);
    const Trained one = of_one(o, Device::reference, 2);
    for (const int size : {2, 4}) {
      CAPTURE(loss.name);
      CAPTURE(size);
      check_equal(of_several(size, o, Device::reference, 2), one);
    }
  }
}

TEST_CASE("steps of several processes: with each option they are those of one, in f64") {
  for (const Option& option : options_of_test) {
    PretrainOptions o = exact_options();
    option.choose(o);
    // From the second step on the queues hold features of earlier batches.
    const Trained one = of_one(o, Device::reference, 3);
    for (const int size : {2, 4}) {
      CAPTURE(option.name);
      CAPTURE(size);
      check_equal(of_several(size, o, Device::reference, 3), one);
    }
  }
}

TEST_CASE("steps of several processes: ten steps of each optimizer end where those of one do") {
  for (const OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::lars, OptimizerKind::rmsprop, OptimizerKind::adamw}) {
    PretrainOptions o = exact_options();
    o.optimizer = kind;
    o.online_probe = true;
    const Trained one = of_one(o, Device::reference, 10);
    const int size = kind == OptimizerKind::lars ? 4 : 2;
    CAPTURE(name(kind));
    // AdamW divides by the size of a gradient, which also makes rounding larger where gradients are small.
    check_equal(of_several(size, o, Device::reference, 10), one,
                {.later = kind == OptimizerKind::adamw ? 1e-5 : 1e-7});
  }
}

TEST_CASE("steps of several processes: in f32 they are as close to the exact ones as those of one") {
  for (const char* loss : {"supcon", "cross_entropy"}) {
    PretrainOptions o = exact_options();
    o.loss = loss;
    o.view_groups[0].size = 8;
    o.image_size = 8;
    const Trained exact = of_one(o, Device::reference, 1);
    o.precision.compute = DType::f32;
    const Trained one = of_one(o, Device::cpu, 1);
    for (const int size : {2, 4}) {
      CAPTURE(loss);
      CAPTURE(size);
      const Trained several = of_several(size, o, Device::cpu, 1);
      // A deep network makes rounding larger, so what it gives in f32 is the measure: not more than ten times that of
      // one process, which may be small by chance. Without any, 1e-5 (1e-6 for the loss).
      const auto error = [&](const Doubles Trained::*what, const Trained& of) {
        return relative_difference(of.*what, exact.*what);
      };
      CHECK(error(&Trained::losses, several) < 1e-6 + 10 * error(&Trained::losses, one));
      CHECK(error(&Trained::gradients, several) < 1e-5 + 10 * error(&Trained::gradients, one));
      CHECK(error(&Trained::running, several) < 1e-5 + 10 * error(&Trained::running, one));
      CHECK(error(&Trained::features, several) < 1e-5 + 10 * error(&Trained::features, one));
      CHECK(error(&Trained::gradients, one) < 5e-2);
    }
  }
}

TEST_CASE("steps of several processes: bf16 on the wire rounds the gradients, and only them") {
  PretrainOptions o = exact_options();
  const Trained one = of_one(o, Device::reference, 1);
  o.gradient_wire = DType::bf16;
  const Trained several = of_several(2, o, Device::reference, 1);
  CHECK(relative_difference(several.gradients, one.gradients) < 0x1p-7);
  CHECK(relative_difference(several.gradients, one.gradients) > 0x1p-14);
  CHECK(relative_difference(several.losses, one.losses) < 1e-12);
  CHECK(relative_difference(several.running, one.running) < 1e-10);
}

}  // namespace
}  // namespace kindred
