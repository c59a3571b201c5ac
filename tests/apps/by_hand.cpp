#include "by_hand.h"
#include "programs.h"

#include <kindred/engine/cpu/parallel.h>

#include <cmath>
#include <numbers>
#include <utility>

namespace kindred::by_hand {

std::string draw_set(const TemporaryFolder& folder) {
  return draw_tiny_set(folder, 3, 8);
}

Loader loader(const std::string& set, std::uint64_t seed, int views, const std::string& recipe_name,
              std::int64_t limit_per_class) {
  LoaderOptions options;
  options.batch_size = batch;
  options.views = views;
  options.size = size;
  options.recipe = recipe(recipe_name, size);
  options.workers = 0;
  options.seed = seed;
  return Loader(*open_dataset(set, Split::train, {.limit_per_class = limit_per_class}), options);
}

Tensor normalized(const Batch& drawn) {
  const std::int64_t rows = static_cast<std::int64_t>(drawn.images.size()) / (size * size * 3);
  const Tensor bytes = Tensor::from(drawn.images, {rows, size, size, 3}, Device::cpu);
  return normalize_images(bytes, {{0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}}, DType::f32);
}

double learning_rate(std::int64_t step) {
  return 0.05 * (1 + std::cos(std::numbers::pi * static_cast<double>(step) / steps));
}

std::string encoder_bytes(const ParameterStore& store,
                          std::vector<std::optional<HeldOutImages>> trained_before) {
  const TemporaryFolder folder;
  EncoderInfo info{"resnet20", Stem::cifar, 32, {{0.4914f, 0.4822f, 0.4465f}, {0.2023f, 0.1994f, 0.2010f}}};
  info.trained_before = std::move(trained_before);
  save_encoder(folder / "encoder.safetensors", store, info, steps);
  return read_bytes(folder / "encoder.safetensors");
}

std::string encoder_after(const std::string& set, const Plan& plan) {
  set_compute_threads(2);  // like the programs under test: sums over chunks depend on the number of threads
  ContrastiveModel model("resnet20", Stem::cifar, plan.head, plan.classes);
  model.store.allocate(Device::cpu, plan.seed);
  Optimizer optimizer(model.store, plan.optimizer);
  Loader batches = loader(set, plan.seed, plan.views);
  batches.start_epoch(0);
  Batch drawn;
  for (std::int64_t step = 0; step < steps; ++step) {
    REQUIRE(batches.next(drawn));
    Tape tape;
    model.store.attach(tape);
    const Tensor loss = plan.loss(model(normalized(drawn), Mode::train), drawn);
    tape.backward(loss);
    optimizer.set_learning_rate(plan.learning_rate(step));
    optimizer.step();
  }
  REQUIRE_FALSE(batches.next(drawn));
  return encoder_bytes(model.store);
}

std::string encoder_of_pretrain(const std::string& set, const std::string& more, const std::string& schedule) {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_program("pretrain", set + " --out " + (folder / "run").string() + flags + schedule + more);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  return read_bytes(folder / "run/encoder.safetensors");
}

}  // namespace kindred::by_hand
