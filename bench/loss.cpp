// Kindred's side of the loss alone: runs SupCon forward and backward for every line on standard input and
// answers with the milliseconds of one pass. With --memory it runs one pass and prints the bytes that this took
// besides the inputs: on a GPU the pool's bytes, gradient included, otherwise the growth of the process.
#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/process_memory.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/supcon.h>

#include <iostream>

namespace kindred {
namespace {

struct Inputs {
  Tensor features;  // [rows, dim], of length 1
  Tensor labels;    // [rows]
};

Inputs draw(std::int64_t rows, std::int64_t dim, std::uint32_t classes, Device device) {
  RandomStream random(3, Purpose::test);
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  for (float& value : values) value = random.normal();
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(random.below(classes));
  Tensor features = l2_normalize(Tensor::from(values, {rows, dim}, device));
  features.set_requires_grad();
  return {features, Tensor::from(labels, {rows}, device)};
}

void pass(const Inputs& inputs) {
  Tape tape;
  tape.backward(supcon(inputs.features, inputs.labels));
}

std::size_t bytes_of_a_pass(const Inputs& inputs, Device device) {
  if (device == Device::cuda) {
    MemoryPool& pool = memory_pool(device);
    pool.reset_peak();
    const std::size_t before = pool.statistics().in_use;
    pass(inputs);
    return pool.statistics().peak_in_use - before;
  }
  const std::size_t before = resident_bytes(), peak_before = peak_resident_bytes();
  pass(inputs);
  const std::size_t peak = peak_resident_bytes();
  // If the peak did not rise, the pass fitted into memory that drawing the inputs had used and released.
  return peak > peak_before ? peak - before : peak_before - before;
}

int bench(int argc, char** argv) {
  CommandLine command("SupCon forward and backward for every line on standard input.", "bench_loss");
  std::int64_t rows = 2048, dim = 128, steps = 1;
  std::uint32_t classes = 10;
  bool memory = false;
  std::string device_name = "cpu";
  command.add("--rows", rows);
  command.add("--dim", dim);
  command.add("--classes", classes);
  command.add("--device", device_name, device_help);
  command.add("--steps", steps, "for each line, in a row");
  command.add_switch("--memory", memory);
  if (const auto done = command.parse(argc, argv)) return *done;
  const DeviceChoice choice = choose_device(device_name);
  const Device device = choice.device;
  report_device(choice, Precision{}, stderr);
  const KnownPlans known_plans(choice, {});
  if (memory) pass(draw(256, dim, classes, device));  // libraries set themselves up
  const Inputs inputs = draw(rows, dim, classes, device);
  if (memory) {
    fmt::print("{}\n", bytes_of_a_pass(inputs, device));
    return 0;
  }
  for (std::string line; std::getline(std::cin, line);) {
    if (device == Device::cuda) gpu().synchronize();
    const double start = now_seconds();
    for (std::int64_t step = 0; step < steps; ++step) pass(inputs);
    if (device == Device::cuda) gpu().synchronize();
    fmt::print("{}\n", (now_seconds() - start) * 1e3 / static_cast<double>(steps));
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
