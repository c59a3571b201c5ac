// Your own program with the installed library: it embeds points in the plane, a disc and a ring around it, with
// the supervised contrastive loss.
//
//   cmake --install build/release --prefix PREFIX
//   cmake -S examples/tiny_training -B build/example -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build/example
//   build/example/tiny_training
#include <kindred/kindred.h>

#include <cmath>
#include <cstdio>
#include <numbers>

using namespace kindred;

namespace {

constexpr std::int64_t batch = 128;

struct Network {
  Tensor operator()(const Tensor& points) const { return l2_normalize(output(relu(hidden(points)))); }

  ParameterStore store;
  Linear hidden{store, "hidden", 2, 64};
  Linear output{store, "output", 64, 8};
};

struct Batch {
  Tensor points;  // [batch, 2]
  Tensor labels;  // i32 [batch]: 0 in the disc, 1 in the ring
};

Batch draw_batch(std::uint32_t step, Device device) {
  RandomStream random(0, Purpose::test, step);
  std::vector<float> points;
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < batch; ++i) {
    const std::int32_t label = static_cast<std::int32_t>(i % 2);
    const float radius = label == 0 ? random.uniform(0.0f, 1.0f) : random.uniform(2.0f, 3.0f);
    const float angle = random.uniform(0.0f, 2 * std::numbers::pi_v<float>);
    points.push_back(radius * std::cos(angle));
    points.push_back(radius * std::sin(angle));
    labels.push_back(label);
  }
  return {Tensor::from(points, {batch, 2}, device), Tensor::from(labels, {batch}, device)};
}

}  // namespace

int main() {
  const Device device = choose_device("auto").device;
  Network network;
  network.store.allocate(device, 0);
  Optimizer optimizer(network.store, SgdOptions{.momentum = 0.9});
  optimizer.set_learning_rate(0.1);

  double value = 0;
  for (std::uint32_t step = 0; step <= 300; ++step) {
    const Batch drawn = draw_batch(step, device);
    Tape tape;
    network.store.attach(tape);
    const Tensor loss = supcon(network(drawn.points), drawn.labels);
    tape.backward(loss);
    optimizer.step();
    value = loss.to_vector<double>()[0];
    if (step % 100 == 0) std::printf("step %3u  loss %.3f\n", step, value);
  }
  // Even if each class is one point, far from the other, an anchor divides its probability among its positives.
  const double best = std::log(batch / 2.0 - 1);
  std::printf("same features everywhere: %.3f, the classes far apart: %.3f\n", collapse_value(batch), best);
  return value < best + 0.1 ? 0 : 1;
}
