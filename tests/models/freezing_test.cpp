// A ResNet whose first stages are frozen: what is frozen, and that the rest learns as if the frozen part were any other
// input.
#include "../gradcheck/gradcheck.h"

#include <doctest/doctest.h>
#include <kindred/losses/supcon/supcon.h>
#include <kindred/models/micro_batches.h>

#include <string>
#include <vector>

namespace kindred {
namespace {

using gradcheck::relative_difference;
using Values = std::vector<double>;

constexpr std::int64_t images_in_batch = 6;

struct SmallModel : ContrastiveModel {
  explicit SmallModel(Device device = Device::reference, DType dtype = DType::f64)
      : ContrastiveModel("resnet20", Stem::cifar, HeadKind::linear) {
    store.allocate(device, 3, DType::f32, dtype);
    RandomStream random(9, Purpose::test);
    // Running statistics that are not those of the batch. With large means, nothing would pass the ReLUs.
    for (Buffer& buffer : store.buffers()) {
      const double lowest = buffer.name.ends_with("mean") ? -0.3 : 0.5;
      std::vector<double> values(static_cast<std::size_t>(buffer.shape.numel()));
      for (double& value : values) value = lowest + random.uniform(0, 0.6);
      buffer.value.copy_from(Tensor::from(values, buffer.shape, Device::reference));
    }
  }
  Values running() const {
    Values all;
    for (const Buffer& buffer : store.buffers())
      for (const double value : buffer.value.to_vector<double>()) all.push_back(value);
    return all;
  }
};

Tensor pictures() {
  std::vector<double> values(static_cast<std::size_t>(images_in_batch * 8 * 8 * 3));
  RandomStream random(71, Purpose::test);
  for (double& value : values) value = random.normal();
  return Tensor::from(values, {images_in_batch, 8, 8, 3}, Device::reference);
}

Tensor loss_of_output(const Tensor& output) {
  return supcon(output, Tensor::from(std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}, {6}, Device::reference));
}

// Forward and backward in micro-batches of so many images, from gradients of zero.
void walk_in_micro_batches(SmallModel& model, const Tensor& x, BatchNormScope scope, std::int64_t images) {
  Tensor(model.store.flat_gradients()).fill(0);
  MicroBatches micro_batches(model, scope, images);
  Tensor output = micro_batches.forward(x).output;
  Tape tape;
  tape.backward(loss_of_output(output.set_requires_grad()));
  micro_batches.backward(tape.gradient(output));
}

TEST_CASE("frozen stages: names, parameters and segments") {
  SmallModel model;
  ResNet& encoder = model.encoder;
  CHECK(freezable_stages(resnet_spec("resnet20")) ==
        std::vector<std::string>{"stem", "layer1", "layer2", "layer3", "encoder"});
  CHECK(freezable_stages(resnet_spec("resnet50")).size() == 6);
  CHECK(encoder.frozen_segments() == 0);
  CHECK(!encoder.is_frozen("conv1.weight"));
  encoder.freeze_until("conv1");
  CHECK(encoder.frozen_segments() == 1);
  encoder.freeze_until("stem");
  CHECK(encoder.frozen_segments() == 1);
  CHECK(encoder.is_frozen("conv1.weight"));
  CHECK(encoder.is_frozen("bn1.bias"));
  CHECK(!encoder.is_frozen("layer1.0.conv1.weight"));
  encoder.freeze_until("layer2");
  CHECK(encoder.frozen_segments() == 7);  // the stem and two stages of three blocks
  CHECK(encoder.is_frozen("layer2.0.downsample.1.weight"));
  CHECK(!encoder.is_frozen("layer3.0.conv1.weight"));
  CHECK(!encoder.is_frozen("head.weight"));
  for (const char* all : {"layer3", "encoder"}) {
    encoder.freeze_until(all);
    CHECK(encoder.frozen_segments() == encoder.segments());
    CHECK(encoder.is_frozen("layer3.2.bn2.weight"));
    CHECK(!encoder.is_frozen("head.weight"));
    CHECK(!encoder.is_frozen("fc.bias"));
  }
  for (const char* wrong : {"layer4", "layer0", "head", "", "layer"})
    CHECK_THROWS_AS(encoder.freeze_until(wrong), Error);
}

TEST_CASE(
    "frozen stages: the rest gets the gradients that it gets without freezing, and the frozen part none") {
  const Tensor x = pictures();
  for (const char* stage : {"stem", "layer1", "layer2", "layer3"}) {
    CAPTURE(stage);
    SmallModel frozen, free;
    frozen.encoder.freeze_until(stage);
    const Values before = frozen.running();
    std::size_t recorded = 0, recorded_free = 0;
    double loss = 0, loss_of_free = 0;
    {
      Tape tape;
      frozen.store.attach(tape);
      const Tensor value = loss_of_output(frozen(x, Mode::train));
      recorded = tape.entries().size();
      tape.backward(value);
      loss = value.to_vector<double>()[0];
    }
    {  // nothing is frozen, but the first segments use their running statistics
      Tape tape;
      free.store.attach(tape);
      Tensor y = x;
      for (std::size_t segment = 0; segment < free.encoder.segments(); ++segment)
        y = free.encoder.segment(segment, y,
                                 segment < frozen.encoder.frozen_segments() ? Mode::evaluate : Mode::train);
      const Tensor value = loss_of_output(free.project(y));
      recorded_free = tape.entries().size();
      tape.backward(value);
      loss_of_free = value.to_vector<double>()[0];
    }
    CHECK(loss == loss_of_free);
    CHECK(recorded < recorded_free);
    for (const Parameter& parameter : frozen.store.parameters()) {
      CAPTURE(parameter.name);
      const Values gradient = parameter.gradient.to_vector<double>();
      const Values of_free = free.store.find(parameter.name).gradient.to_vector<double>();
      CHECK(gradient == (frozen.encoder.is_frozen(parameter.name) ? Values(gradient.size(), 0.0) : of_free));
    }
    // Running statistics: those of the frozen part stay, the others move as without freezing.
    CHECK(frozen.running() == free.running());
    CHECK((frozen.running() == before) == (std::string(stage) == "layer3"));
    for (const Buffer& buffer : frozen.store.buffers())
      if (frozen.encoder.is_frozen(buffer.name)) {
        SmallModel untouched;
        for (const Buffer& other : untouched.store.buffers())
          if (other.name == buffer.name)
            CHECK(buffer.value.to_vector<double>() == other.value.to_vector<double>());
      }
  }
}

TEST_CASE("frozen stages: micro-batches with the full batch's statistics are the batch") {
  const Tensor x = pictures();
  for (const char* stage : {"stem", "layer2", "encoder"}) {
    CAPTURE(stage);
    SmallModel whole, cut;
    whole.encoder.freeze_until(stage);
    cut.encoder.freeze_until(stage);
    {
      Tape tape;
      whole.store.attach(tape);
      tape.backward(loss_of_output(whole(x, Mode::train)));
    }
    walk_in_micro_batches(cut, x, BatchNormScope::full, 2);
    CHECK(relative_difference(cut.store.flat_gradients().to_vector<double>(),
                              whole.store.flat_gradients().to_vector<double>()) < 1e-9);
    CHECK(relative_difference(cut.running(), whole.running()) < 1e-9);
  }
}

TEST_CASE("frozen stages: micro-batches with statistics of their own leave the frozen part as it is") {
  const Tensor x = pictures();
  SmallModel model;
  model.encoder.freeze_until("encoder");
  const Values before = model.running();
  walk_in_micro_batches(model, x, BatchNormScope::micro, 3);
  CHECK(model.running() == before);
  for (const Parameter& parameter : model.store.parameters()) {
    const Values gradient = parameter.gradient.to_vector<double>();
    CAPTURE(parameter.name);
    CHECK((gradient == Values(gradient.size(), 0.0)) == model.encoder.is_frozen(parameter.name));
  }
}

}  // namespace
}  // namespace kindred
