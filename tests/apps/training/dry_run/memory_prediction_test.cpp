// The figures of --dry-run's table: what is kept is a part of the peak, however a batch is cut.
#include "../small_options.h"

#include <doctest/doctest.h>

#include <kindred/apps/training/dry_run/memory_prediction.h>

#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

PretrainOptions in_micro_batches(PretrainOptions o, std::int64_t images, BatchNormScope scope) {
  o.micro_batch = images;
  o.batch_norm_scope = scope;
  return o;
}

std::size_t sum_of_rows(const MemoryPrediction& memory) {
  std::size_t bytes = 0;
  for (const LayerMemory& layer : memory.layers) bytes += layer.activations;
  return bytes;
}

TEST_CASE("memory prediction: parameters and what is kept for the backward pass are not more than the peak") {
  const PretrainOptions whole = small_options(32, 32);
  PretrainOptions two_sizes = whole, queries = whole, frozen = whole;
  two_sizes.view_groups.push_back({recipe("none"), 24, 2});
  two_sizes.views = 4;
  queries.momentum_encoder = 0.99;
  queries.queue = 64;
  frozen.freeze_until = "layer2";
  const std::pair<std::string, PretrainOptions> all[] = {
      {"two views", whole}, {"two sizes", two_sizes}, {"momentum encoder", queries}, {"frozen stages", frozen}};
  for (const auto& [name, options] : all) {
    CAPTURE(name);
    const MemoryPrediction at_once = predict_memory(options, Device::cpu);
    CHECK(at_once.activation_bytes == sum_of_rows(at_once));
    CHECK(at_once.parameter_bytes + at_once.activation_bytes <= at_once.step_peak);
    CHECK(2 * (at_once.parameter_bytes + at_once.activation_bytes) > at_once.step_peak);
    for (const BatchNormScope scope : {BatchNormScope::micro, BatchNormScope::full})
      for (const std::int64_t images : {16, 8, 2}) {
        CAPTURE(scope == BatchNormScope::full);
        CAPTURE(images);
        const MemoryPrediction cut = predict_memory(in_micro_batches(options, images, scope), Device::cpu);
        CHECK(cut.activation_bytes > 0);
        CHECK(cut.activation_bytes < at_once.activation_bytes);
        CHECK(cut.parameter_bytes + cut.activation_bytes <= cut.step_peak);
      }
  }
}

TEST_CASE(
    "memory prediction: norms of the whole batch keep the inputs of all blocks, and the activations of one") {
  const PretrainOptions whole = small_options(32, 32);
  const auto kept = [&](std::int64_t images) {
    return predict_memory(in_micro_batches(whole, images, BatchNormScope::full), Device::cpu);
  };
  const MemoryPrediction halves = kept(16), small = kept(2);
  CHECK(halves.activation_bytes < sum_of_rows(halves));
  // The inputs are those of the whole batch: smaller micro-batches take less for a block alone.
  CHECK(small.activation_bytes < halves.activation_bytes);
  CHECK(small.activation_bytes > sum_of_rows(small));
  // 64 views of 32 x 32 pixels of 3 channels, the stem's output and those of 3 blocks with 16, 3 with 32, 3 with 64 channels,
  // a quarter of the pixels each time; and the pooled features.
  const std::size_t inputs = 64 * sizeof(float) * (3072 + 4 * 16384 + 3 * 8192 + 3 * 4096 + 64);
  CHECK(small.activation_bytes > inputs / 2);
  CHECK(small.activation_bytes < 2 * inputs);
  const std::string text = describe_totals(halves, 0, Device::cpu);
  CHECK(text.find("activations kept at once: inputs, and one block's") != std::string::npos);
  CHECK(describe_totals(predict_memory(whole, Device::cpu), 0, Device::cpu)
            .find("activations kept for the backward pass") != std::string::npos);
}

}  // namespace
}  // namespace kindred
