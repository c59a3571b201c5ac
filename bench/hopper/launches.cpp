// Writes down every kernel that a training step, or SupCon alone, starts on an H200, with its grid and its bytes,
// without a GPU (described_gpu.h). bench/hopper/table.py runs it.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/training/training_steps.h>
#include <kindred/bench/hopper/described_gpu.h>
#include <kindred/engine/device_kernels.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/supcon/supcon.h>

#include <optional>

namespace kindred {
namespace {

// The parameters are parts of a few large blocks.
void name_parts(const ParameterStore& store) {
  for (const Parameter& p : store.parameters())
    for (const Tensor& tensor : {p.value, p.gradient, p.low}) described_gpu::name_part(tensor);
  for (const Buffer& buffer : store.buffers()) described_gpu::name_part(buffer.value);
}

// Two launches are run as they are, and one is recorded and replayed: the steady state.
void log_steps(PretrainOptions& o, std::int64_t rows) {
  Learner learner(o, Device::cuda, 10);
  name_parts(learner.model().store);
  const auto runner = make_training_steps(o, Device::cuda, learner);
  const std::int64_t side = o.image_size, of_launch = steps_of_a_launch(o);
  const std::vector<std::uint8_t> pictures(static_cast<std::size_t>(rows * side * side * 3));
  const std::vector<std::int32_t> labels =
      view_labels(o, std::vector<std::int32_t>(static_cast<std::size_t>(o.batch_size)), {});
  described_gpu::mark(fmt::format("steps {}", of_launch));
  for (std::int64_t step = 0; step < 4 * of_launch; ++step) runner->run(pictures, labels, 0.01);
  runner->finish();
  described_gpu::mark("end");
}

void log_supcon(std::int64_t rows, std::int64_t dim) {
  Tensor features = l2_normalize(Tensor::empty({rows, dim}, DType::f32, Device::cuda));
  features.set_requires_grad();
  const Tensor labels = Tensor::empty({rows}, DType::i32, Device::cuda);
  described_gpu::mark("steps 1");
  described_gpu::write("record", {});
  Tape tape;
  tape.backward(supcon(features, labels));
  described_gpu::write("recorded", {});
  described_gpu::mark("end");
}

int log_launches(int argc, char** argv) {
  CommandLine command("Writes down the kernels of a training step on an H200, without one.", "bench_launches");
  PretrainOptions o;
  o.model = "resnet50";
  o.optimizer = OptimizerKind::lars;
  o.momentum = 0.9;
  o.weight_decay = 1e-6;
  o.temperature = 0.1;
  o.image_size = 224;
  o.pixels = "imagenet";
  std::int64_t rows = 256, supcon_rows = 0, dim = 128;
  std::string log, sizes, optimizer = "lars";
  std::optional<std::string> precision;
  command.add("--model", o.model);
  command.add("--image-size", o.image_size);
  command.add("--views", rows, "rows of the batch: two views of each image");
  command.add("--precision", precision, precision_help);
  command.add("--optimizer", optimizer, "sgd or lars");
  command.add("--supcon", supcon_rows, "the loss alone, of this many rows");
  command.add("--dim", dim, "of the rows of --supcon");
  command.add("--log", log, "file for the launches");
  command.add("--parameters", sizes, "file with the sizes of kernels' parameters");
  if (const auto done = command.parse(argc, argv)) return *done;
  check(!log.empty() && !sizes.empty(), ExitCode::usage,
        "--log and --parameters are needed: table.py gives them");
  check(rows >= 2 && rows % 2 == 0, ExitCode::usage, "--views is {}, and must be even and 2 or more", rows);
  check(supcon_rows >= 0 && dim >= 1, ExitCode::usage, "--supcon {} and --dim {}: both must be positive",
        supcon_rows, dim);
  check(optimizer == "sgd" || optimizer == "lars", ExitCode::usage, "--optimizer {}: expected sgd or lars",
        optimizer);
  described_gpu::open_log(log, sizes);
  if (supcon_rows > 0) {
    log_supcon(supcon_rows, dim);
  } else {
    o.optimizer = optimizer == "sgd" ? OptimizerKind::sgd : OptimizerKind::lars;
    o.batch_size = rows / 2;
    o.stem = default_stem(o.image_size);
    o.view_groups = {{recipe("none"), static_cast<int>(o.image_size), 2}};
    o.precision = precision_for(precision, Device::cuda);
    log_steps(o, rows);
  }
  described_gpu::close_log();
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::log_launches);
}
