#include <kindred/engine/error.h>
#include <kindred/third_party/cudnn/batch_norm.h>

#include <cmath>

namespace kindred::cudnn {

std::string BatchNormKey::to_string() const {
  return fmt::format("batch norm of {} {}x{}x{}x{}{}", name(dtype), n, h, w, c,
                     residual ? ", with a residual and ReLU"
                     : relu   ? ", with ReLU"
                              : "");
}

Graph forward_graph(const BatchNormKey& key) {
  Graph graph;
  const Graph::Dimensions images{key.n, key.c, key.h, key.w}, channels{1, key.c, 1, 1};
  const int x = graph.tensor(key.dtype, images);
  Graph::BatchNormTensors norm{};
  norm.scale = graph.tensor(DType::f32, channels);
  norm.bias = graph.tensor(DType::f32, channels);
  norm.epsilon = graph.scalar();
  norm.mean = graph.tensor(DType::f32, channels);
  norm.inv_std = graph.tensor(DType::f32, channels);
  const int y = graph.tensor(key.dtype, images);
  if (!key.relu) {
    graph.batch_norm(x, norm, y);
    return graph;
  }
  const int zero = graph.scalar();
  const int mask = graph.mask(images);
  const int residual = key.residual ? graph.tensor(key.dtype, images) : -1;
  int before_relu = graph.tensor(DType::f32, images, true);
  graph.batch_norm(x, norm, before_relu);
  if (key.residual) {
    const int sum = graph.tensor(DType::f32, images, true);
    graph.add(before_relu, residual, sum);
    before_relu = sum;
  }
  graph.relu(before_relu, y);
  graph.is_greater(y, zero, mask);  // engines support this comparison only after the ReLU
  return graph;
}

Graph backward_graph(const BatchNormKey& key) {
  Graph graph;
  const Graph::Dimensions images{key.n, key.c, key.h, key.w}, channels{1, key.c, 1, 1};
  const int x = graph.tensor(key.dtype, images);
  Graph::BatchNormTensors norm{};
  norm.scale = graph.tensor(DType::f32, channels);
  norm.mean = graph.tensor(DType::f32, channels);
  norm.inv_std = graph.tensor(DType::f32, channels);
  int dy = graph.tensor(key.dtype, images);
  const int dx = graph.tensor(key.dtype, images);
  norm.d_scale = graph.tensor(DType::f32, channels);
  norm.d_bias = graph.tensor(DType::f32, channels);
  if (key.relu) {
    const int mask = graph.mask(images);
    // The gradient after the mask of the ReLU is also the gradient of the residual. Without a residual it needs
    // no memory.
    const int dz = graph.tensor(key.dtype, images, !key.residual);
    graph.multiply(dy, mask, dz);
    dy = dz;
  }
  graph.batch_norm_gradient(dy, x, norm, dx);
  return graph;
}

const BatchNormPlans* plans_for(const BatchNormKey& key) {
  static auto& table =
      *new ShapeTable<BatchNormKey, std::optional<BatchNormPlans>>;  // leaked: cuDNN may end first
  const std::optional<BatchNormPlans>& found = table.at(key, [&key]() -> std::optional<BatchNormPlans> {
    const std::string name = book_name(key.to_string());
    std::optional<Plan> forward = find_plan(name + ", forward", [&key] { return forward_graph(key); });
    if (!forward) return std::nullopt;
    std::optional<Plan> backward = find_plan(name + ", backward", [&key] { return backward_graph(key); });
    if (!backward) return std::nullopt;
    return BatchNormPlans{std::move(*forward), std::move(*backward)};
  });
  return found ? &*found : nullptr;
}

bool wins(const BatchNormKey& key, const std::function<float()>& otherwise) {
  static ShapeTable<BatchNormKey, bool> table;
  return table.at(key, [&] {
    const auto ours = [&key] {
      const BatchNormPlans* plans = plans_for(key);
      return plans == nullptr ? HUGE_VALF
                              : time_of(forward_graph(key), plans->forward).value_or(HUGE_VALF) +
                                    time_of(backward_graph(key), plans->backward).value_or(HUGE_VALF);
    };
    // The plan book may come from a file that anybody wrote and may claim this even if there are no plans.
    return plan_wins(book_name(key.to_string()), ours, otherwise) && plans_for(key) != nullptr;
  });
}

}  // namespace kindred::cudnn
