// What the processes of a run tell each other besides gradients. The processes are threads here.
#include "../../../../engine/communicator/threads.h"
#include "../../../../errors.h"
#include "../../../programs.h"
#include "../../small_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/batch_source.h>
#include <kindred/apps/training/run/run_record.h>
#include <kindred/apps/training/run/shared/between_steps.h>
#include <kindred/apps/training/run/shared/shared_source.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <atomic>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace kindred {
namespace {

// doctest's checks come from one thread at a time.
std::mutex one_checks;

TEST_CASE("run over processes: one's options, chosen for its machine, are everybody's") {
  GivenOptions chosen;
  chosen.batch_size = 96;
  chosen.model = "resnet18";
  chosen.lr = 0.1 + 0.2;  // not a short decimal
  chosen.sync_batch_norm = false;
  std::atomic<int> choices = 0;
  run_processes(3, [&](const Communicator& processes) {
    const GivenOptions all = options_of_first(processes, [&] {
      ++choices;
      return chosen;
    });
    const std::lock_guard lock(one_checks);
    CHECK(all.batch_size == chosen.batch_size);
    CHECK(all.model == chosen.model);
    CHECK(all.lr == chosen.lr);
    CHECK(all.sync_batch_norm == chosen.sync_batch_norm);
    CHECK(!all.epochs.has_value());
    CHECK(!all.augment.has_value());
  });
  CHECK(choices == 1);
  CHECK(options_of_first(Communicator(), [&] { return chosen; }).lr == chosen.lr);
}

TEST_CASE("run over processes: the position of the run, to the last bit") {
  RunState state;
  state.epochs_done = 2;
  state.batches_done = 5;
  state.steps_done = 17;
  state.loss_sum = 1.0 / 3;
  state.best = 0.1 + 0.2;
  state.best_by = "neighbours";
  state.metrics = {{{"epoch", 1}, {"loss", 1e-300}}, {{"epoch", 2}, {"loss", nullptr}}};
  state.data = "fingerprint";
  run_processes(2, [&](const Communicator& processes) {
    const RunState got = state_of_first(processes, processes.is_first() ? state : RunState());
    const std::lock_guard lock(one_checks);
    CHECK(got.to_json() == state.to_json());
    CHECK(got.loss_sum == state.loss_sum);
  });
}

TEST_CASE("run over processes: tensors of the model and of what learns beside it") {
  std::vector<std::vector<float>> values(3);
  std::vector<std::vector<std::int32_t>> counts(3);
  run_processes(3, [&](const Communicator& processes) {
    const auto rank = static_cast<std::size_t>(processes.rank());
    ParameterStore store;
    store.add("weight", {5, 7}, ParameterKind::weight, normal_init(1));
    store.add("bias", {3}, ParameterKind::bias, normal_init(1));
    store.add_buffer("mean", {2}, static_cast<float>(rank));
    store.allocate(Device::cpu, 10 + rank);  // other values in each
    const Tensor count = Tensor::full({4}, static_cast<double>(rank) + 1, DType::i32, Device::cpu);
    if (rank == 1) values[1] = store.find("weight").value.to_vector<float>();  // what it had
    const std::vector<float> before = store.find("weight").value.to_vector<float>();
    share_tensors(processes, store, {{"count", count}});
    std::vector<float> all;
    for (const auto& [name, tensor] : store.tensors()) {
      const std::vector<float> more = tensor.to_vector<float>();
      all.insert(all.end(), more.begin(), more.end());
    }
    values[rank] = all;
    counts[rank] = count.to_vector<std::int32_t>();
    const std::lock_guard lock(one_checks);
    CHECK((store.find("weight").value.to_vector<float>() == before) == processes.is_first());
  });
  CHECK(values[0].size() == 5 * 7 + 3 + 2);
  CHECK(values[1] == values[0]);
  CHECK(values[2] == values[0]);
  CHECK(counts[2] == std::vector<std::int32_t>(4, 1));
}

TEST_CASE("run over processes: a save that is due in the first is due in all, and files are its alone") {
  std::atomic<int> saves = 0, works = 0;
  run_processes(4, [&](const Communicator& processes) {
    for (const bool is_due : {true, false, true}) {
      const BetweenSteps agreed = agree_between_steps(processes, is_due && processes.is_first());
      if (agreed.saves) ++saves;
      const std::lock_guard lock(one_checks);
      CHECK(agreed.saves == is_due);
      CHECK(!agreed.ends);
    }
    int before = 0;
    first_alone(processes, [&] {
      ++works;
      before = 1;
    });
    const std::lock_guard lock(one_checks);
    CHECK(works == 1);  // the others waited for it
    CHECK((before == 1) == processes.is_first());
  });
  CHECK(saves == 8);
}

TEST_CASE("run over processes: times in a report are of the one that waited longest for data") {
  struct NoPictures : SampleSource {
    std::string name(std::int64_t) const override { return "none"; }
  };
  const TemporaryFolder folder;
  PretrainOptions o = small_options(8, 3);
  o.out = (folder / "run").string();  // not there, so nobody may write to it
  o.epochs = 1;
  const Dataset train({"a", "b"}, {0, 1, 1}, std::make_shared<NoPictures>(), false);
  std::mt19937 random(5);
  std::vector<double> waits(3), steps(3);
  for (double& wait : waits) wait = std::uniform_real_distribution<>(0, 1)(random);
  for (double& step : steps) step = std::uniform_real_distribution<>(1, 2)(random);
  waits[1] = 1.5;
  run_processes(3, [&](const Communicator& processes) {
    const auto rank = static_cast<std::size_t>(processes.rank());
    RunRecord record(o, train, 2, [] { return std::vector<BadImage>(); });
    for (int step = 0; step < 2; ++step) {
      record.begin_step({0, 1, 2});
      record.end_step(
          {.step = step, .loss = 1, .step_seconds = steps[rank] / 2, .wait_seconds = waits[rank] / 2}, true);
    }
    record.share_times();
    EpochReport report = record.report({}, 0.1, 1, false);
    const std::lock_guard lock(one_checks);
    CHECK(!report.to_json().contains("gradients"));
    report.gradients = {.buckets = 2,
                        .started_early = 1,
                        .steps = 4,
                        .seconds_waited = 0.5,
                        .sent = {{.bytes = 3'000'000, .seconds_ahead = 0.25}, {.bytes = 500'000}}};
    const nlohmann::json gradients = report.to_json().at("gradients");
    CHECK(gradients.at("buckets") == 2);
    CHECK(gradients.at("started_early") == 1);
    CHECK(gradients.at("wait_ms") == 125);
    CHECK(gradients.at("sent").at(0) == nlohmann::json{{"mb", 3.0}, {"ms_ahead", 250.0}});
    CHECK(gradients.at("sent").at(1) == nlohmann::json{{"mb", 0.5}, {"ms_ahead", 0.0}});
    report.gradients->steps = 0;  // on a GPU
    CHECK(!report.to_json().at("gradients").contains("wait_ms"));
    CHECK(report.to_json().at("gradients").at("sent").at(0) == nlohmann::json{{"mb", 3.0}});
    CHECK(record.state().wait_seconds == doctest::Approx(1.5));
    CHECK(record.state().step_seconds == doctest::Approx(steps[1]));
    CHECK(report.data_wait == doctest::Approx(1.5 / (1.5 + steps[1])));
    CHECK(report.to_json().at("processes") == 3);
  });
  RunRecord alone(o, train, 2, [] { return std::vector<BadImage>(); });
  alone.begin_step({0, 1, 2});
  alone.end_step({.loss = 1, .step_seconds = 3, .wait_seconds = 2}, true);
  alone.share_times();
  CHECK(alone.state().step_seconds == 3);
  CHECK(!alone.report({}, 0.1, 1, false).to_json().contains("processes"));
}

TEST_CASE("run over processes: the source of a value that is not finite is what comes first in any of them") {
  // A batch of 6 images with two views: rows of rank r, view-major, are of images 2r and 2r + 1.
  std::vector<NonFiniteSource> own(3);
  own[0] = {.layer = "bn1", .rows = {0, 1, 2, 3}, .place = 9};  // it has spread to all rows
  own[1] = {.layer = "conv1", .rows = {3}, .place = 8};         // view 1 of image 3
  own[2] = {.layer = "conv1", .rows = {0, 2}, .place = 8};      // both views of image 4
  const auto merged = [&] {
    NonFiniteSource first;
    run_processes(3, [&](const Communicator& processes) {
      const NonFiniteSource source =
          first_source(processes, own[static_cast<std::size_t>(processes.rank())], 6);
      const std::lock_guard lock(one_checks);
      if (processes.is_first()) first = source;
    });
    return first;
  };
  CHECK(merged().layer == "conv1");
  CHECK(merged().place == 8);
  CHECK(merged().rows == std::vector<std::int64_t>{3, 4, 4});
  own[1] = {};  // this process has found nothing
  CHECK(merged().rows == std::vector<std::int64_t>{4, 4});
  own[2] = {};
  CHECK(merged().layer == "bn1");
  CHECK(merged().rows == std::vector<std::int64_t>{0, 1, 0, 1});
  own[0] = {};
  CHECK(merged().layer.empty());
  CHECK(first_source(Communicator(), {.layer = "fc", .rows = {5}, .place = 1}, 6).rows ==
        std::vector<std::int64_t>{5});
}

TEST_CASE("run over processes: a step's images are those of one process, in its order") {
  const TemporaryFolder folder;
  const Dataset train = *open_dataset(draw_tiny_set(folder), Split::train);
  PretrainOptions o = small_options(32, 12);
  o.max_bad = "0";
  o.seed = 3;
  struct Images {
    std::vector<std::int32_t> labels;
    std::vector<std::int64_t> indices, drawn;
  };
  // Of each batch of an epoch.
  const auto batches = [&](const Communicator& processes) {
    BatchSource source(o, train, {}, processes);
    std::vector<Images> all;
    source.start_epoch(0, 0);
    while (source.next()) {
      const WholeBatch whole = whole_batch(processes, source);
      if (processes.is_alone()) CHECK(&whole.labels == &source.labels());  // nothing is copied
      all.push_back({whole.labels, whole.indices, whole.drawn});
    }
    return all;
  };
  const std::vector<Images> expected = batches(Communicator());
  REQUIRE(expected.size() == 2);
  CHECK(expected[0].indices != expected[1].indices);
  for (const int size : {2, 3, 4})
    run_processes(size, [&](const Communicator& processes) {
      const std::vector<Images> all = batches(processes);
      const std::lock_guard lock(one_checks);
      REQUIRE(all.size() == expected.size());
      for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(all[i].labels == expected[i].labels);
        CHECK(all[i].indices == expected[i].indices);
        CHECK(all[i].drawn == expected[i].drawn);
      }
    });
}

TEST_CASE("run over processes: other settings or images are found before the first step") {
  const nlohmann::json config = {
      {"lr", 0.1}, {"data_fingerprint", "a"}, {"data", "set"}, {"workers", 4}, {"seed", 1}};
  const auto complaint = [&](const char* key, const nlohmann::json& other) {
    std::string said = "nothing";
    run_processes(3, [&](const Communicator& processes) {
      nlohmann::json own = config;
      if (processes.rank() == 2) own[key] = other;
      const std::string error = test::error_of([&] { check_same_everywhere(processes, own); });
      const std::lock_guard lock(one_checks);
      if (processes.rank() == 0) said = error;
    });
    return said;
  };
  const auto says_all = [&](const std::string& text, const std::vector<std::string>& parts) {
    CAPTURE(text);
    for (const std::string& part : parts) CHECK(text.find(part) != std::string::npos);
  };
  says_all(complaint("lr", 0.5), {"rank 2 on ", "has other settings than rank 0", "lr: 0.5", "lr: 0.1"});
  says_all(complaint("seed", 2), {"rank 2 on ", "seed: 2", "seed: 1"});
  says_all(complaint("data_fingerprint", "b"),
           {"rank 2 on ", "has other images than rank 0", "the same data set"});
  CHECK(complaint("data", "elsewhere/set") == "no error");
  CHECK(complaint("workers", 64) == "no error");
  check_same_everywhere(Communicator(), {});
}

}  // namespace
}  // namespace kindred
