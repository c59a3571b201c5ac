// Kindred's side of the loss alone: SupCon forward and backward for every line on standard input; answers with
// the milliseconds of one. On a GPU also prints, at the end, the memory that it took beside its inputs and
// outputs.
#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/device_report.h>
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/progress.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/supcon.h>

#include <iostream>

namespace kindred {
namespace {

Tensor unit_rows(std::int64_t rows, std::int64_t dim, Device device) {
  std::vector<float> values(static_cast<std::size_t>(rows * dim));
  RandomStream random(1, Purpose::test);
  for (float& value : values) value = random.uniform(-1, 1);
  return l2_normalize(Tensor::from(values, {rows, dim}, device));
}

Tensor labels(std::int64_t rows, Device device) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(rows));
  RandomStream random(2, Purpose::test);
  for (std::int32_t& value : values) value = static_cast<std::int32_t>(random.below(1000));
  return Tensor::from(values, {rows}, device);
}

int bench(int argc, char** argv) {
  CLI::App app("SupCon forward and backward for every line on standard input.", "bench_loss");
  std::int64_t rows = 8192, dim = 128, steps = 1;
  std::string device_name = "cpu";
  app.add_option("--rows", rows);
  app.add_option("--dim", dim);
  app.add_option("--device", device_name, device_help);
  app.add_option("--steps", steps, "for each line, in a row");
  if (const auto done = parse_command_line(app, argc, argv)) return *done;
  const Device device = choose_device(device_name).device;
  Tensor features = unit_rows(rows, dim, device);
  const Tensor classes = labels(rows, device);
  features.set_requires_grad();
  MemoryPool& pool = memory_pool(device);
  pool.reset_peak();
  const std::size_t before = pool.statistics().in_use;
  for (std::string line; std::getline(std::cin, line);) {
    if (device == Device::cuda) gpu().synchronize();
    const double start = now_seconds();
    for (std::int64_t step = 0; step < steps; ++step) {
      Tape tape;
      tape.backward(supcon(features, classes));
    }
    if (device == Device::cuda) gpu().synchronize();
    fmt::print("{}\n", (now_seconds() - start) * 1e3 / static_cast<double>(steps));
    std::fflush(stdout);
  }
  const std::size_t gradient = features.bytes();
  fmt::print(stderr, "{} x {}: {:.1f} MB beside features, labels and gradient\n", rows, dim,
             static_cast<double>(pool.statistics().peak_in_use - before - gradient) / 1e6);
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::bench);
}
