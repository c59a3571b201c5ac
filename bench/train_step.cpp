// Kindred's side of bench/train_step.py and bench/gpu.py: runs SupCon training steps for every line on standard
// input and answers with the milliseconds of one step. --kernels FILE writes the kernels of all lines except
// the first, which makes plans and recordings.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/bench/kernel_times.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/files/atomic_file.h>

#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace kindred {
namespace {

std::vector<std::uint8_t> random_pictures(std::int64_t views, std::int64_t side) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(views * side * side * 3));
  RandomStream random(1, Purpose::test);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.below(256));
  return bytes;
}

std::vector<std::int32_t> random_labels(std::int64_t batch) {
  std::vector<std::int32_t> labels;
  RandomStream random(2, Purpose::test);
  for (std::int64_t i = 0; i < batch; ++i) labels.push_back(static_cast<std::int32_t>(random.below(10)));
  return labels;
}

// Plans take a minute or two, and the program may be killed before it has all of them.
void keep_now_and_then(const KnownPlans& plans, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    wake.wait_for(lock, stop, std::chrono::seconds(10), [] { return false; });
    plans.keep();
  }
}

int bench(int argc, char** argv) {
  CommandLine command("SupCon training steps for every line on standard input.", "bench_train_step");
  PretrainOptions o;
  o.model = "resnet20";
  o.optimizer = OptimizerKind::sgd;
  o.momentum = 0.9;
  o.weight_decay = 1e-4;
  o.temperature = 0.1;
  o.image_size = 32;
  o.pixels = "imagenet";
  constexpr double learning_rate = 0.01;
  std::int64_t rows = 512, steps = 1;
  std::string device_name = "cpu", kernels_file, plans_file;
  std::optional<std::string> precision;
  command.add("--model", o.model);
  command.add("--image-size", o.image_size);
  command.add("--views", rows, "rows of the batch: two views of each image");
  command.add("--precision", precision, precision_help);
  command.add("--device", device_name, device_help);
  command.add("--steps", steps, "for each line, in a row");
  command.add_switch("--deterministic", o.deterministic);
  command.add("--kernels", kernels_file, "file for the time of each kernel; slows the steps down a little");
  command.add("--plans", plans_file, "file for the chosen plans, as pretrain's plans.json");
  if (const auto done = command.parse(argc, argv)) return *done;
  check(rows >= 2 && rows % 2 == 0 && steps >= 1, ExitCode::usage, "--views must be even, --steps 1 or more");
  o.batch_size = rows / 2;
  o.stem = default_stem(o.image_size);
  o.view_groups = {{recipe("none"), static_cast<int>(o.image_size), 2}};
  std::optional<KernelTimes> kernels;
  if (!kernels_file.empty()) kernels.emplace();  // before anything is recorded
  const DeviceChoice choice = choose_device(device_name);
  const Device device = choice.device;
  o.precision = precision_for(precision, device);
  report_device(choice, o.precision, stderr);
  const KnownPlans known_plans(choice, {o.deterministic, o.precision.tf32});

  Learner learner(o, device, 10);
  const auto runner = make_training_steps(o, device, learner);
  if (device == Device::cuda) {  // whole launches, like nearly all of an epoch
    const std::int64_t of_launch = steps_of_a_launch(o);
    steps = (steps + of_launch - 1) / of_launch * of_launch;
  }
  const std::vector<std::uint8_t> pictures = random_pictures(rows, o.image_size);
  const std::vector<std::int32_t> labels = view_labels(o, random_labels(o.batch_size), {});
  std::jthread keeper([&known_plans](const std::stop_token& stop) { keep_now_and_then(known_plans, stop); });
  std::int64_t lines = 0;
  for (std::string line; std::getline(std::cin, line); ++lines) {
    if (lines == 1) {
      keeper.request_stop();
      if (device == Device::cuda && !plans_file.empty()) plan_book().save(plans_file, gpu().probe().name);
      if (kernels) kernels->begin();
    }
    const double start = now_seconds();
    for (std::int64_t step = 0; step < steps; ++step) runner->run(pictures, labels, learning_rate);
    runner->finish();
    fmt::print("{}\n", (now_seconds() - start) * 1e3 / static_cast<double>(steps));
    std::fflush(stdout);
  }
  if (kernels) {
    check(lines > 1, ExitCode::usage, "--kernels: {} lines were read, expected 2 or more", lines);
    write_file_atomically(kernels_file, kernels->table(static_cast<double>(steps * (lines - 1))));
  }
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
