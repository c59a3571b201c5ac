// Contrasts beyond the batch: the loss with them, the queue that holds them, the encoder that makes them.
#include "../errors.h"
#include "../gpu.h"

#include <doctest/doctest.h>
#include <kindred/engine/kernels/accumulate.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/concatenate/concatenate.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/losses/feature_queue/feature_queue.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/models/momentum_encoder.h>

#include <cmath>
#include <vector>

namespace kindred {
namespace {

using test::error_of;

Tensor unit_rows(std::int64_t rows, std::int64_t dim, std::uint32_t stream, Device device = Device::reference,
                 DType dtype = DType::f64) {
  std::vector<double> values(static_cast<std::size_t>(rows * dim));
  RandomStream random(81, Purpose::test, stream);
  for (double& value : values) value = random.normal();
  return l2_normalize(Tensor::from(values, {rows, dim}, Device::reference)).to(device, dtype);
}

Tensor integers(const std::vector<std::int32_t>& values, Device device = Device::reference) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())}, device);
}

double value_of(const Tensor& loss) {
  return loss.to_vector<double>()[0];
}

TEST_CASE("supcon_against: the batch itself as contrasts is the plain loss, gradients added up") {
  const Tensor features = unit_rows(10, 4, 0);
  const Tensor labels = integers({0, 1, 2, 0, 1, 3, 0, 1, 2, 0});
  for (const SupConVariant variant : {SupConVariant::out, SupConVariant::in}) {
    const SupConOptions options{.temperature = 0.3f, .variant = variant};
    const auto gradient_of = [&](bool against) {
      Tensor z = features.reshape(features.shape());
      z.set_requires_grad();
      Tape tape;
      const Tensor loss =
          against ? supcon_against(z, labels, z, labels, 0, options) : supcon(z, labels, options);
      tape.backward(loss);
      std::vector<double> all = tape.gradient(z).to_vector<double>();
      all.push_back(value_of(loss));
      return all;
    };
    const std::vector<double> plain = gradient_of(false), both = gradient_of(true);
    for (std::size_t i = 0; i < plain.size(); ++i) CHECK(both[i] == doctest::Approx(plain[i]).epsilon(1e-12));
  }
}

TEST_CASE("supcon_against: by hand, for contrasts that are no anchors") {
  const Tensor anchors = unit_rows(3, 2, 1), contrasts = unit_rows(4, 2, 2);
  const std::vector<std::int32_t> a = {0, 1, 5}, c = {0, -1, 1, 0};
  const auto z = anchors.to_vector<double>(), w = contrasts.to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    double total = 0, positives = 0;
    int count = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const double s = (z[2 * i] * w[2 * j] + z[2 * i + 1] * w[2 * j + 1]) / 0.25;
      total += std::exp(s);
      if (a[i] == c[j]) {
        positives += s;
        ++count;
      }
    }
    if (count > 0) sum += std::log(total) - positives / count;
  }
  SupConStatistics statistics;
  const Tensor loss =
      supcon_against(anchors, integers(a), contrasts, integers(c), 4, {.temperature = 0.25f}, &statistics);
  CHECK(value_of(loss) == doctest::Approx(sum / 3).epsilon(1e-12));
  CHECK(statistics.positives.to_vector<std::int32_t>() == std::vector<std::int32_t>{2, 1, 0});
  CHECK(statistics.negatives.to_vector<std::int32_t>() == std::vector<std::int32_t>{2, 3, 4});
}

TEST_CASE("supcon_against: cpu agrees with reference at the size of a queue") {
  const std::int64_t rows = 64, queue = 512;
  std::vector<std::int32_t> a, c;
  for (std::int64_t i = 0; i < rows; ++i) a.push_back(static_cast<std::int32_t>(i * i % 7));
  for (std::int64_t i = 0; i < rows + queue; ++i)
    c.push_back(i < rows ? a[static_cast<std::size_t>(i)] : static_cast<std::int32_t>(i % 9) - 1);
  const auto run = [&](Device device, DType dtype) {
    Tensor z = unit_rows(rows, 128, 3, device, dtype);
    z.set_requires_grad();
    Tape tape;
    const Tensor loss =
        supcon_against(z, integers(a, device), concatenate(z, unit_rows(queue, 128, 4, device, dtype)),
                       integers(c, device), 0);
    tape.backward(loss);
    std::vector<double> all = tape.gradient(z).to_vector<double>();
    all.push_back(value_of(loss));
    return all;
  };
  const std::vector<double> expected = run(Device::reference, DType::f64), got = run(Device::cpu, DType::f32);
  CHECK(got.back() == doctest::Approx(expected.back()).epsilon(1e-6));
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i + 1 < got.size(); ++i) {
    difference += (got[i] - expected[i]) * (got[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  CHECK(std::sqrt(difference / norm) < 1e-5);
}

TEST_CASE("supcon_against: what cannot be is said") {
  const Tensor z = unit_rows(4, 3, 5), w = unit_rows(2, 3, 6);
  const Tensor labels = integers({0, 0, 1, 1}), others = integers({0, 1});
  CHECK(error_of([&] { supcon_against(z, labels, unit_rows(2, 4, 6), others, 2); }) != "no error");
  CHECK(error_of([&] { supcon_against(z, labels, w, labels, 2); }) != "no error");
  CHECK(error_of([&] {
          supcon_against(z, labels, w, others, 2, {.views = 2, .positives_cap = 1});
        }).find("cap on positives") != std::string::npos);
  CHECK(error_of([&] {
          supcon_against(z, integers({0, -1, 1, 1}), w, others, 2);
        }).find("label -1") != std::string::npos);
}

TEST_CASE("a queue: first in, first out, and at its place") {
  FeatureQueue queue(5, 2, 1, Device::cpu);
  const float* const place = queue.features().data<float>();
  for (const std::int32_t label : queue.labels().to_vector<std::int32_t>()) CHECK(label == -1);
  const auto drawn = queue.features().to_vector<double>();
  for (std::size_t row = 0; row < 5; ++row)
    CHECK(std::hypot(drawn[2 * row], drawn[2 * row + 1]) == doctest::Approx(1));
  CHECK(drawn != FeatureQueue(5, 2, 2, Device::cpu).features().to_vector<double>());

  const auto rows = [](const std::vector<float>& values) {
    return Tensor::from(values, {static_cast<std::int64_t>(values.size()) / 2, 2}, Device::cpu);
  };
  queue.push(rows({1, 1, 2, 2}), integers({1, 2}, Device::cpu));
  queue.push(rows({3, 3, 4, 4, 5, 5}), integers({3, 4, 5}, Device::cpu));
  CHECK(queue.labels().to_vector<std::int32_t>() == std::vector<std::int32_t>{3, 4, 5, 1, 2});
  queue.push(rows({6, 6}), integers({6}, Device::cpu));
  CHECK(queue.labels().to_vector<std::int32_t>() == std::vector<std::int32_t>{6, 3, 4, 5, 1});
  CHECK(queue.features().to_vector<float>() == std::vector<float>{6, 6, 3, 3, 4, 4, 5, 5, 1, 1});
  CHECK(queue.features().data<float>() == place);
  CHECK_THROWS(queue.push(rows(std::vector<float>(12)), integers({1, 2, 3, 4, 5, 6}, Device::cpu)));
}

TEST_CASE("a momentum encoder follows slowly") {
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::linear);
  model.store.allocate(Device::cpu, 3);
  MomentumEncoder slow(model, HeadKind::linear, DType::f32, 0.75);
  const auto values = [](const ContrastiveModel& m) { return m.store.flat_values().to_vector<float>(); };
  CHECK(values(slow.copy()) == values(model));
  const std::vector<float> before = values(model);
  Tensor(model.store.flat_values()).fill(0.5);
  slow.follow(model);
  const std::vector<float> after = values(slow.copy());
  for (std::size_t i = 0; i < after.size(); i += 997)
    CHECK(after[i] == doctest::Approx(0.75 * before[i] + 0.25 * 0.5));
  CHECK(slow.state().size() == model.store.parameters().size() + model.store.buffers().size());
}

TEST_CASE("move_average on cuda" * test::needs_gpu) {
  const Tensor value = unit_rows(37, 5, 7, Device::cpu, DType::f32),
               start = unit_rows(37, 5, 8, Device::cpu, DType::f32);
  const Tensor expected = start.to(Device::cpu, DType::f32);
  move_average(Output(expected), value, 0.3);
  const Tensor on_gpu = start.to(Device::cuda, DType::f32);
  move_average(Output(on_gpu), value.to(Device::cuda, DType::f32), 0.3);
  const auto a = expected.to_vector<double>(), b = on_gpu.to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(b[i] == doctest::Approx(a[i]).epsilon(1e-6));
}

TEST_CASE("move_average: cpu agrees with reference") {
  const Tensor value = unit_rows(37, 5, 7), start = unit_rows(37, 5, 8);
  Tensor reference = start.to(Device::reference, DType::f64), cpu = start.to(Device::cpu, DType::f32);
  move_average(Output(reference), value, 0.3);
  move_average(Output(cpu), value.to(Device::cpu, DType::f32), 0.3);
  const auto a = reference.to_vector<double>(), b = cpu.to_vector<double>(), v = value.to_vector<double>(),
             s = start.to_vector<double>();
  for (std::size_t i = 0; i < a.size(); ++i) {
    CHECK(a[i] == doctest::Approx(0.7 * s[i] + 0.3 * v[i]).epsilon(1e-12));
    CHECK(b[i] == doctest::Approx(a[i]).epsilon(1e-6));
  }
}

}  // namespace
}  // namespace kindred
