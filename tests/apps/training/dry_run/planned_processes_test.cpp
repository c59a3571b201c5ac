// Predictions for one of several processes that are not there: it takes what its part of a batch takes.
#include "../../programs.h"
#include "../small_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/dry_run/fitting_sizes.h>
#include <kindred/apps/training/dry_run/memory_prediction.h>
#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/engine/communicator/communicator.h>

#include <filesystem>
#include <string>

namespace kindred {
namespace {

PretrainOptions options_of(std::int64_t processes, std::int64_t batch) {
  PretrainOptions o = small_options(32, batch);
  o.processes = processes;
  return o;
}

TEST_CASE(
    "planned processes: activations are those of a part of the batch, and the gathered features are little") {
  const MemoryPrediction whole = predict_memory(options_of(1, 64), Device::cpu),
                         part = predict_memory(options_of(4, 64), Device::cpu),
                         small = predict_memory(options_of(1, 16), Device::cpu);
  CHECK(part.parameters == whole.parameters);
  CHECK(part.step_peak >= small.step_peak);
  CHECK(static_cast<double>(part.step_peak) < 1.1 * static_cast<double>(small.step_peak));
  CHECK(static_cast<double>(part.step_peak) < 0.5 * static_cast<double>(whole.step_peak));
  CHECK(world().is_alone());  // the planned processes are gone
}

TEST_CASE("planned processes: times are of a part of the batch, views of the whole one") {
  const GpuRates rates = gpu_rates("h200");
  PretrainOptions o = options_of(1, 256);
  o.epochs = 1;
  const TimePrediction whole = predict_time(o, rates, 10, 100);
  o.processes = 8;
  const TimePrediction part = predict_time(o, rates, 10, 100);
  CHECK(part.views == whole.views);
  CHECK(part.kernels < whole.kernels);
  CHECK(part.copies == doctest::Approx(whole.copies / 8).epsilon(0.01));
}

TEST_CASE("planned processes: sizes that fit are sizes that they can share") {
  // 10 for each image that goes through a process's network at once.
  const auto within = [](std::int64_t units) -> FitsIntoMemory {
    return [units](const PretrainOptions& o) {
      return 10 * (o.micro_batch > 0 ? o.micro_batch : o.batch_size / o.processes) <= units;
    };
  };
  PretrainOptions o = options_of(3, 90);  // 30 in each
  FittingSizes sizes = fitting_sizes(o, within(170));
  CHECK(sizes.batch == 51);        // 17 in each
  CHECK(sizes.micro_batch == 15);  // the largest divisor of 30 up to 17
  CHECK(unit_of_batch(o) == 3);
  o.micro_batch = 10;
  o.per_class = 4;
  CHECK(unit_of_batch(o) == 60);
  o = options_of(1, 90);
  sizes = fitting_sizes(o, within(170));
  CHECK(sizes.batch == 16);
  CHECK(sizes.micro_batch == 15);
}

TEST_CASE("planned processes: --dry-run --processes starts nobody, and predicts for one of them") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string command = set + " --out " + (folder / "run").string() + tiny + "--dry-run ";
  const auto alone = run_program("pretrain", command),
             of_four = run_program("pretrain", command + "--processes 4");
  CAPTURE(of_four.output);
  CHECK(alone.code == 0);
  CHECK(of_four.code == 0);
  CHECK(says(alone, "[16, 128]"));   // 2 views of 8 images
  CHECK(says(of_four, "[4, 128]"));  // of 2
  CHECK(says(of_four, "one of 4 processes, with 2 of a batch's 8 images\n"));
  CHECK(!says(of_four, "processes: "));
  CHECK(!std::filesystem::exists(folder / "run"));
  const auto refused = run_program("pretrain", command + "--processes 3");
  CHECK(refused.code == 2);
  CHECK(is_one_line_error(refused));
}

}  // namespace
}  // namespace kindred
