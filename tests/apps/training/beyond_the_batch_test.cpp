// pretrain with micro-batches, a queue, a momentum encoder, an online probe.
#include "../programs.h"

#include <fmt/core.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/online_probe.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/files/safetensors.h>

#include <cmath>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* batches_of_twelve =
    " --model resnet20 --image-size 16 -b 12 --augment cifar --seed 3 -j 1 ";
constexpr const char* two_epochs = "--epochs 2 ";

std::vector<nlohmann::json> metrics_of(const std::string& run) {
  return Checkpoint(fs::path(run) / "checkpoint.safetensors").run().metrics;
}

TEST_CASE(
    "--micro-batch with the full batch's statistics: the losses and weights of the whole batch, to rounding") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 16);
  const auto run = [&](const std::string& name, const std::string& flags) {
    const auto result =
        run_program("pretrain", set + " --knn-every 0 --lr 0.01 --out " + (folder / name).string() +
                                    batches_of_twelve + two_epochs + flags);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    return (folder / name).string();
  };
  const auto weights_of = [&](const std::string& path) {
    const SafetensorsFile file(path + "/encoder.safetensors");
    std::vector<double> all;
    for (const SafetensorsEntry& entry : file.entries())
      if (entry.dtype == "F32")
        for (const double value : file.read<double>(entry)) all.push_back(value);
    return all;
  };
  const std::string whole = run("whole", ""), full = run("full", "--micro-batch 4 --batch-norm-scope full"),
                    micro = run("micro", "--micro-batch 4");
  for (std::size_t epoch = 0; epoch < 2; ++epoch)
    CHECK(metrics_of(full)[epoch]["loss"].get<double>() ==
          doctest::Approx(metrics_of(whole)[epoch]["loss"].get<double>()).epsilon(2e-3));
  const auto a = weights_of(whole), b = weights_of(full), c = weights_of(micro);
  double full_apart = 0, micro_apart = 0, length = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    full_apart += (a[i] - b[i]) * (a[i] - b[i]);
    micro_apart += (a[i] - c[i]) * (a[i] - c[i]);
    length += a[i] * a[i];
  }
  CHECK(std::sqrt(full_apart / length) < 5e-3);
  CHECK(full_apart < micro_apart / 10);
}

TEST_CASE(
    "queue, momentum encoder and online probe are part of a checkpoint: the run goes on to the same bytes") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", cut = folder / "cut";
  const std::string flags =
      std::string(batches_of_twelve) +
      "--epochs 8 --knn-every 4 --checkpoint-every 1 --queue 30 --momentum-encoder 0.9 --online-probe ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  run_until_checkpoint(set, cut, flags);
  REQUIRE(run_program("pretrain", set + " --out " + cut + flags + "--resume").code == 0);
  CHECK(read_bytes(cut + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
  const SafetensorsFile one(whole + "/checkpoint.safetensors"), other(cut + "/checkpoint.safetensors");
  int memories = 0;
  for (const SafetensorsEntry& entry : one.entries()) {
    const bool is_memory = entry.name.starts_with("queue.") || entry.name.starts_with("momentum_encoder.") ||
                           entry.name.starts_with("online_probe.");
    memories += is_memory;
    CHECK(one.read<double>(entry) == other.read<double>(other.at(entry.name)));
  }
  CHECK(memories > 100);
  const auto metrics = metrics_of(whole);
  CHECK(metrics[0]["probe_top1"].is_null());
  CHECK(metrics[7]["probe_top1"].get<double>() >= 0);
  CHECK(metrics[7]["probe_loss"].get<double>() > 0);
  // A run without them cannot resume from this checkpoint.
  const auto changed =
      run_program("pretrain", set + " --out " + cut + batches_of_twelve + "--epochs 8 --resume");
  CHECK(changed.code == 2);
  CHECK(says(changed, "queue was 30, now 0"));
}

TEST_CASE("an online probe learns what can be told apart by a line") {
  const std::int64_t rows = 240, dim = 6;
  FeatureTable table{dim, {}, {}};
  RandomStream random(91, Purpose::test);
  for (std::int64_t row = 0; row < rows; ++row) {
    table.labels.push_back(static_cast<std::int32_t>(row % 3));
    for (std::int64_t d = 0; d < dim; ++d)
      table.features.push_back(5 + 0.1f * random.normal() + (d == row % 3 ? 0.5f : 0.0f));
  }
  for (const DType compute : {DType::f32, DType::bf16}) {
    OnlineProbe probe(dim, 3, 1, Device::cpu, compute);
    probe.optimizer().set_learning_rate(OnlineProbe::rate(1));
    const double before = probe.accuracy(table);
    const Tensor features = Tensor::from(table.features, {rows, dim}, Device::cpu).to(Device::cpu, compute);
    const Tensor classes = Tensor::from(table.labels, {rows}, Device::cpu);
    double loss = 0;
    for (int step = 0; step < 60; ++step) loss = probe.step(features, classes).to_vector<double>()[0];
    CHECK(loss < 0.2);
    CHECK(before < 0.8);
    CHECK(probe.accuracy(table) > 0.97);
  }
}

TEST_CASE("an online probe leaves the encoder as it would be without") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const char* flag : {"", "--online-probe"})
    REQUIRE(run_program("pretrain", set + " --out " + (folder / (std::string("run") + flag)).string() +
                                        batches_of_twelve + two_epochs + flag)
                .code == 0);
  CHECK(read_bytes(folder / "run/encoder.safetensors") ==
        read_bytes(folder / "run--online-probe/encoder.safetensors"));
}

TEST_CASE("a queue with every loss that has one, and steps that are skipped") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  for (const std::string flags :
       {"--queue 24", "--loss simclr --queue 50",
        "--queue 25 --contrast one --variant in --denominator one-positive", "--momentum-encoder 0.5 --views 3",
        "--queue 64 --momentum-encoder 0.99 --micro-batch 6",
        "--queue 64 --micro-batch 6 --batch-norm-scope full --head none --precision bf16",
        "--queue 24 --online-probe --on-nonfinite skip", "--head none --momentum-encoder .9",
        "--micro-batch 3 --loss cross_entropy --online-probe"}) {
    CAPTURE(flags);
    const auto result = run_program(
        "pretrain", set + " --overwrite --knn-every 0 --out " + run + batches_of_twelve + two_epochs + flags);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    for (const auto& line : metrics_of(run)) CHECK(std::isfinite(line.at("loss").get<double>()));
    // The positives of an anchor include those in the queue: a batch of 12 alone cannot have so many.
    if (std::string(flags).starts_with("--queue 64 --momentum-encoder"))
      CHECK(metrics_of(run).back().at("features").at("positives_mean").get<double>() > 12);
    CHECK(run_program("pretrain", set + " --dry-run --out " + (folder / "dry").string() + batches_of_twelve +
                                      two_epochs + flags)
              .code == 0);
  }
}

TEST_CASE("memories and micro-batches that cannot be are refused") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const auto refused = [&](const std::string& flags, const std::string& what) {
    CAPTURE(flags);
    const auto result = run_program(
        "pretrain", set + " --out " + (folder / "run").string() + batches_of_twelve + two_epochs + flags);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, what));
  };
  refused("--queue 23", "at least the 24 rows");
  refused("--queue -1", "--queue -1");
  refused("--momentum-encoder 1", "--momentum-encoder 1");
  refused("--momentum-encoder 0", "--momentum-encoder 0");
  refused("--momentum-encoder 0.9 --views 1", "use --views 2");
  refused("--queue 24 --loss triplet", "are for --loss supcon and simclr");
  refused("--queue 24 --positives-cap 1", "--positives-cap");
  refused("--micro-batch 5", "a divisor of --batch-size 12");
  refused("--micro-batch 0", "--micro-batch 0");
  refused("--batch-norm-scope full", "is for --micro-batch");
  refused("--micro-batch 4 --batch-norm-scope all", "expected micro or full");
  CHECK_FALSE(fs::exists(folder / "run"));
}

TEST_CASE("the loss of features that are all alike counts what is beyond the batch") {
  LossOptions loss;
  loss.supcon.views = 2;
  CHECK(collapse_loss(loss, 8, 4, 0.25) == doctest::Approx(std::log(15)));
  loss.queue = 100;
  CHECK(collapse_loss(loss, 8, 4, 0.25) == doctest::Approx(std::log(115)));
  loss.compares_keys = true;
  CHECK(collapse_loss(loss, 8, 4, 0.25) == doctest::Approx(std::log(108)));
  loss.supcon.denominator = SupConDenominator::only_negatives;
  CHECK(collapse_loss(loss, 8, 4, 0.25) == doctest::Approx(std::log(107 * 0.75)));
}

}  // namespace
}  // namespace kindred
