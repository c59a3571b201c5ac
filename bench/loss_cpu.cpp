// Kindred's side of bench/loss.py: one forward and backward pass of SupCon for every line on standard input;
// answers with its milliseconds. With --memory one pass alone, and the bytes by which the process grew for it.
#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/memory_plan.h>
#include <kindred/apps/common/progress.h>
#include <kindred/engine/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/supcon.h>

#include <iostream>

namespace kindred {
namespace {

struct Inputs {
  Tensor features;  // [rows, dim], of length 1
  Tensor labels;    // [rows], ten classes
};

Inputs draw(std::int64_t rows, std::int64_t dim) {
  RandomStream random(3, Purpose::test);
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  for (float& value : values) value = random.normal();
  std::vector<std::int32_t> labels(static_cast<std::size_t>(rows));
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(random.below(10));
  Tensor features = l2_normalize(Tensor::from(values, {rows, dim}, Device::cpu));
  features.set_requires_grad();
  return {features, Tensor::from(labels, {rows}, Device::cpu)};
}

void pass(const Inputs& inputs) {
  Tape tape;
  const Tensor loss = supcon(inputs.features, inputs.labels);
  tape.backward(loss);
}

int bench(int argc, char** argv) {
  CLI::App app("A pass of SupCon, forward and backward, for every line on standard input.", "bench_loss_cpu");
  std::int64_t rows = 2048, dim = 128;
  bool memory = false;
  app.add_option("--rows", rows);
  app.add_option("--dim", dim);
  app.add_flag("--memory", memory);
  if (const auto done = parse_command_line(app, argc, argv)) return *done;
  if (memory) {
    pass(draw(256, dim));  // libraries set themselves up
    const Inputs inputs = draw(rows, dim);
    const std::size_t before = resident_bytes(), peak_before = peak_resident_bytes();
    pass(inputs);
    const std::size_t peak = peak_resident_bytes();
    // Where the peak did not rise, the pass fitted into what drawing the inputs had taken and given back.
    fmt::print("{}\n", peak > peak_before ? peak - before : peak_before - before);
    return 0;
  }
  const Inputs inputs = draw(rows, dim);
  for (std::string line; std::getline(std::cin, line);) {
    const double start = now_seconds();
    pass(inputs);
    fmt::print("{}\n", (now_seconds() - start) * 1e3);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
