// Kindred's side of bench/train_step.py: one SupCon training step for every line on standard input; answers
// with its milliseconds.
#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/progress.h>
#include <kindred/apps/common/step.h>

#include <iostream>

namespace kindred {
namespace {

Tensor random_images(std::int64_t views, std::int64_t side, DType precision) {
  std::vector<float> values(static_cast<std::size_t>(views * side * side * 3));
  RandomStream random(1, Purpose::test);
  for (float& value : values) value = random.normal();
  return Tensor::from(values, {views, side, side, 3}, Device::cpu).to(Device::cpu, precision);
}

Tensor random_labels(std::int64_t batch, int views) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(batch));
  RandomStream random(2, Purpose::test);
  for (std::int32_t& label : labels) label = static_cast<std::int32_t>(random.below(10));
  return repeat_labels(Tensor::from(labels, {batch}, Device::cpu), views);
}

int bench(int argc, char** argv) {
  CLI::App app("One SupCon training step for every line on standard input.", "bench_train_step");
  PretrainOptions o;
  o.model = "resnet20", o.optimizer = "sgd", o.lr = 0.01, o.momentum = 0.9, o.weight_decay = 1e-4;
  o.loss = "supcon", o.temperature = 0.1, o.image_size = 32;
  std::int64_t views = 512;
  std::string precision = "f32";
  app.add_option("--model", o.model);
  app.add_option("--image-size", o.image_size);
  app.add_option("--views", views, "rows of the batch: two views of each image");
  app.add_option("--precision", precision);
  if (const auto done = parse_command_line(app, argc, argv)) return *done;
  o.precision = precision == "bf16" ? DType::bf16 : DType::f32;

  ContrastiveModel model(o.model, default_stem(o.image_size), HeadKind::mlp);
  model.store.allocate(Device::cpu, 0, o.precision);
  const auto optimizer = make_optimizer(o, model.store);
  optimizer->set_learning_rate(o.lr);
  const Tensor images = random_images(views, o.image_size, o.precision), labels = random_labels(views / 2, 2);
  for (std::string line; std::getline(std::cin, line);) {
    const double start = now_seconds();
    contrastive_step(model, *optimizer, images, labels, loss_options(o));
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
