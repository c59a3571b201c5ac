// Training steps of several processes: planted errors, batch norms of their own, values that are not finite, and
// batches that cannot be shared.
#include "../../errors.h"
#include "../../gradcheck/gradcheck.h"
#include "shared_steps.h"

#include <kindred/apps/training/training_steps.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace kindred {
namespace {

using namespace shared_steps;
using gradcheck::relative_difference;

TEST_CASE("steps of several processes: planted errors are seen") {
  const PretrainOptions o = exact_options();
  const Trained one = of_one(o, Device::reference, 1);
  SUBCASE("a factor of the number of processes") {
    PretrainOptions planted = o;
    planted.base_temperature = o.temperature / 2;  // the loss and its gradient are multiplied by 2
    const Trained several = of_several(2, planted, Device::reference, 1);
    CHECK(relative_difference(several.gradients, one.gradients) > 0.9);
    CHECK(relative_difference(several.running, one.running) < 1e-10);
  }
  SUBCASE("statistics that are not merged") {
    PretrainOptions planted = o;
    planted.sync_batch_norm = false;
    const Trained several = of_several(2, planted, Device::reference, 1);
    CHECK(relative_difference(several.gradients, one.gradients) > 1e-2);
    CHECK(std::abs(several.losses[0] - one.losses[0]) > 1e-4);
    CHECK(relative_difference(several.running, one.running) > 1e-4);
  }
  SUBCASE("rows of another process") {
    std::vector<Trained> outcomes(2);
    run_processes(2, [&](const Communicator& processes) {
      outcomes[static_cast<std::size_t>(processes.rank())] = train(o, Device::reference, processes, 1, 0);
    });
    CHECK(relative_difference(outcomes[1].gradients, one.gradients) > 1e-2);
    CHECK(relative_difference(outcomes[1].features, one.features) > 1e-2);
  }
}

TEST_CASE("steps of several processes: batch norms of their own keep the mean of the running statistics") {
  PretrainOptions o = exact_options();
  o.sync_batch_norm = false;
  const Trained one = of_one(o, Device::reference, 1);
  for (const int size : {2, 4}) {
    const Trained several = of_several(size, o, Device::reference, 3);  // which checks that all have the same
    // What the first norm gets depends on no other norm, and the mean of the processes' means is the mean of all.
    for (std::size_t channel = 0; channel < 16; ++channel)
      CHECK(several.running[channel] == doctest::Approx(one.running[channel]).epsilon(1e-10));
    CHECK(relative_difference(several.running, one.running) > 1e-4);
  }
}

TEST_CASE("steps of several processes: what is not finite on one stops all, and is taken back on all") {
  PretrainOptions o = small_options(8, 4);
  o.momentum = 0.9;
  o.lr = 0.1;
  o.queue = 9;
  o.online_probe = true;
  for (const bool sync : {true, false}) {
    CAPTURE(sync);
    o.sync_batch_norm = sync;
    std::vector<std::vector<Doubles>> before(2), spoilt(2), restored(2), later(2);
    std::vector<std::int32_t> flags(2);
    run_processes(2, [&](const Communicator& processes) {
      const auto rank = static_cast<std::size_t>(processes.rank());
      Learner learner(o, Device::cpu, classes, processes);
      learner.set_learning_rate(0.1);
      const auto everything = [&]() -> std::vector<Doubles> {
        return {learner.model().store.flat_values().to_vector<double>(), states_of(learner)};
      };
      learner.step(inputs_of(o, 0, Device::cpu, processes.rank(), 2));
      before[rank] = everything();
      learner.remember();
      const StepInputs inputs = inputs_of(o, 1, Device::cpu, processes.rank(), 2);
      if (rank == 1) inputs.images[0].data<float>()[5] = std::numeric_limits<float>::quiet_NaN();
      learner.step(inputs);
      flags[rank] = learner.optimizer().non_finite();
      spoilt[rank] = everything();
      learner.take_back();
      learner.optimizer().clear_non_finite();
      restored[rank] = everything();
      learner.step(inputs_of(o, 2, Device::cpu, processes.rank(), 2));
      later[rank] = everything();
    });
    CHECK(flags[0] != Optimizer::none);
    CHECK(flags[0] == flags[1]);
    CHECK(spoilt[0][0] == before[0][0]);  // no update
    CHECK(spoilt[1][0] == before[1][0]);
    CHECK(restored == before);
    CHECK(before[0] == before[1]);
    CHECK(later[0] == later[1]);
    CHECK(later[0][0] != before[0][0]);
  }
}

TEST_CASE("steps of several processes: each gives the bytes and labels of its own images") {
  PretrainOptions o = small_options(8, 4);
  o.lr = 0.1;
  std::vector<std::uint8_t> bytes(2 * 4 * 8 * 8 * 3);  // [views, batch, 8, 8, 3]
  RandomStream random(96, Purpose::test);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  const std::vector<std::int32_t> labels = {0, 1, 0, 2};

  struct Results {
    Doubles losses;
    std::int64_t images = 0, rows = 0;
    std::vector<std::int32_t> positives;
  };
  const auto run = [&](const Communicator& processes) {
    Results results;
    results.images = local_batch(o, processes);
    const std::size_t images = 4 / static_cast<std::size_t>(processes.size()), image = bytes.size() / 8,
                      first = images * static_cast<std::size_t>(processes.rank());
    std::vector<std::uint8_t> own;
    for (std::size_t view = 0; view < 2; ++view) {
      const std::uint8_t* const begin = bytes.data() + (view * 4 + first) * image;
      own.insert(own.end(), begin, begin + images * image);
    }
    const std::vector<std::int32_t> own_labels(labels.data() + first, labels.data() + first + images);
    Learner learner(o, Device::cpu, classes, processes);
    const auto steps = make_training_steps(o, Device::cpu, learner);
    for (int step = 0; step < 3; ++step)
      for (const StepResult& result : steps->run(own, view_labels(o, own_labels, {}), 0.05))
        results.losses.push_back(result.loss);
    results.rows = steps->outputs().features.dim(0);
    results.positives = steps->outputs().positives.to_vector<std::int32_t>();
    return results;
  };
  const Communicator alone;
  const Results expected = run(alone);
  REQUIRE(expected.losses.size() == 3);
  CHECK(expected.losses[0] != expected.losses[2]);
  CHECK(expected.images == 4);
  std::vector<Results> results(2);
  run_processes(2, [&](const Communicator& processes) {
    results[static_cast<std::size_t>(processes.rank())] = run(processes);
  });
  for (const Results& each : results) {
    CHECK(each.images == 2);
    CHECK(each.rows == 8);  // of all processes
    CHECK(each.positives == std::vector<std::int32_t>{3, 1, 3, 1, 3, 1, 3, 1});
    REQUIRE(each.losses.size() == 3);
    CHECK(each.losses == results[0].losses);
    // In f32; rounding grows from step to step.
    CHECK(each.losses[0] == doctest::Approx(expected.losses[0]).epsilon(1e-5));
    CHECK(each.losses[2] == doctest::Approx(expected.losses[2]).epsilon(1e-2));
  }
}

TEST_CASE("steps of several processes: shares that are not equal are refused") {
  PretrainOptions o = small_options(8, 6);
  const auto message_of = [&](int size) {
    std::vector<std::string> messages(static_cast<std::size_t>(size));
    run_processes(size, [&](const Communicator& processes) {
      messages[static_cast<std::size_t>(processes.rank())] =
          test::error_of([&] { const Learner learner(o, Device::cpu, classes, processes); });
    });
    for (const std::string& message : messages) CHECK(message == messages[0]);
    return messages[0];
  };
  CHECK(message_of(4) == "--batch-size 6: 4 processes cannot have equal shares of it; use a multiple of 4");
  CHECK(message_of(3) == "no error");
  o.micro_batch = 2;
  CHECK(message_of(2) ==
        "--micro-batch 2: each of 2 processes has 3 of the 6 images of a batch; use a divisor of 3");
  CHECK(message_of(3) == "no error");
}

}  // namespace
}  // namespace kindred
