// Weights under other programs' names: written files have the names, shapes and order of elements that those
// programs expect, and files from those programs can be read.
#include <kindred/layers/linear/linear.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/contrastive_model.h>
#include <kindred/models/file_order.h>
#include <kindred/models/weights_file.h>

#include "../engine/temporary_folder.h"
#include "../errors.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

namespace kindred {
namespace {

using Extents = std::vector<std::int64_t>;

// Random weights and running statistics, so that no tensor equals another.
void randomize(ParameterStore& store, std::uint64_t seed) {
  store.allocate(Device::cpu, seed);
  RandomStream random(seed, Purpose::test);
  const auto fill = [&](Tensor& value, float low, float high) {
    float* elements = value.data<float>();
    for (std::int64_t i = 0; i < value.numel(); ++i) elements[i] = random.uniform(low, high);
  };
  for (Parameter& parameter : store.parameters()) fill(parameter.value, -1, 1);
  for (Buffer& buffer : store.buffers()) fill(buffer.value, 0.5, 2);
}

bool same_values(const ParameterStore& a, const ParameterStore& b, const std::string& prefix = "") {
  const auto equal = [&](const auto& x, const auto& y) {
    for (std::size_t i = 0; i < x.size(); ++i)
      if (x[i].name.starts_with(prefix) &&
          x[i].value.template to_vector<float>() != y[i].value.template to_vector<float>())
        return false;
    return x.size() == y.size();
  };
  return equal(a.parameters(), b.parameters()) && equal(a.buffers(), b.buffers());
}

std::string complaint(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.code() == ExitCode::file);
    return error.what();
  }
  return "";
}

TEST_CASE("weights: torchvision's 320 entries of a ResNet-50, by name, shape, type and order") {
  const TemporaryFolder folder;
  ParameterStore store;
  const ResNet encoder(store, resnet_spec("resnet50"), Stem::imagenet);
  const Linear classifier(store, "fc", encoder.feature_dim, 1000);
  randomize(store, 1);
  save_weights(folder / "f", store, WeightNames::torchvision, {"resnet50"}, 7);

  const SafetensorsFile file(folder / "f");
  CHECK(file.entries().size() == 320);  // as len(torchvision.models.resnet50().state_dict())
  std::int64_t parameters = 0, counters = 0;
  for (const SafetensorsEntry& entry : file.entries()) {
    const bool running = entry.name.find("running_") != entry.name.npos;
    if (entry.name.ends_with("num_batches_tracked")) {
      ++counters;
      CHECK(entry.dtype == "I64");
      CHECK(entry.shape.empty());
      CHECK(file.read<std::int64_t>(entry)[0] == 7);
    } else {
      CHECK(entry.dtype == "F32");
      if (!running) parameters += entry.numel();
    }
  }
  CHECK(counters == 53);
  CHECK(parameters == 25'557'032);
  CHECK(file.at("conv1.weight").shape == Extents{64, 3, 7, 7});
  CHECK(file.at("layer2.0.conv2.weight").shape == Extents{128, 128, 3, 3});
  CHECK(file.at("layer4.0.downsample.0.weight").shape == Extents{2048, 1024, 1, 1});
  CHECK(file.at("layer4.0.downsample.1.running_var").shape == Extents{2048});
  CHECK(file.at("fc.weight").shape == Extents{1000, 2048});
  // Filters: [out, kh, kw, in] in memory, [out, in, kh, kw] in the file.
  const auto memory = encoder.conv1.weight.value.to_vector<float>(),
             ours = file.read<float>(file.at("conv1.weight"));
  for (const auto& [o, i, a, b] : {std::array{0, 0, 0, 0}, {5, 2, 3, 6}, {63, 1, 6, 2}})
    CHECK(ours[static_cast<std::size_t>(((o * 3 + i) * 7 + a) * 7 + b)] ==
          memory[static_cast<std::size_t>(((o * 7 + a) * 7 + b) * 3 + i)]);
}

TEST_CASE("weights: SupContrast's names, with the head") {
  const TemporaryFolder folder;
  ContrastiveModel model("resnet18", Stem::cifar, HeadKind::mlp);
  randomize(model.store, 2);
  save_weights(folder / "f", model.store, WeightNames::supcontrast, {"resnet18", Stem::cifar, 32}, 3);
  const SafetensorsFile file(folder / "f");
  for (const char* name :
       {"encoder.conv1.weight", "encoder.bn1.running_mean", "encoder.bn1.num_batches_tracked",
        "encoder.layer1.1.bn2.bias", "encoder.layer2.0.shortcut.0.weight", "encoder.layer2.0.shortcut.1.weight",
        "encoder.layer2.0.shortcut.1.num_batches_tracked", "head.0.weight", "head.0.bias", "head.2.weight",
        "head.2.bias"})
    CHECK(file.find(name) != nullptr);
  CHECK(file.entries().size() == 122 - 2 + 4);  // torchvision's resnet18 without fc, and the head
  for (const SafetensorsEntry& entry : file.entries()) CHECK(entry.name.find("downsample") == entry.name.npos);
  CHECK(names_used_in(file) == WeightNames::supcontrast);

  ContrastiveModel again("resnet18", Stem::cifar, HeadKind::mlp);
  again.store.allocate(Device::cpu, 9);
  const WeightsReport report = load_weights(folder / "f", again.store);
  CHECK(same_values(model.store, again.store));
  CHECK(report.taken == model.store.parameters().size() + model.store.buffers().size());
  CHECK(report.ignored.empty());
  CHECK(report.missing.empty());
}

TEST_CASE("weights: names with module. in them, and half precision, are taken; the rest is reported") {
  const TemporaryFolder folder;
  ParameterStore store;
  const ResNet encoder(store, resnet_spec("resnet20"), Stem::cifar);
  randomize(store, 3);
  SafetensorsWriter writer;
  for (const Parameter& parameter : store.parameters()) {
    const auto values = to_file_order<float>(parameter.value);
    Tensor tensor = Tensor::from(values, {parameter.value.numel()}, Device::cpu).to(Device::cpu, DType::bf16);
    std::string name = name_for_others(WeightNames::supcontrast, parameter.name);
    name.insert(std::string("encoder.").size(), "module.");
    writer.add(name, DType::bf16, file_shape(parameter.shape), [tensor] { return tensor; });
  }
  writer.add("optimizer.state", Tensor::zeros({3}, DType::f32, Device::cpu));
  writer.write(folder / "f");

  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::linear);
  model.store.allocate(Device::cpu, 4);
  const auto head = model.head->output->weight.value.to_vector<float>();
  const WeightsReport report = load_weights(folder / "f", model.store);
  CHECK(report.taken == store.parameters().size());
  CHECK(report.ignored == std::vector<std::string>{"optimizer.state"});
  CHECK(report.missing.size() == 2 + store.buffers().size());
  CHECK(model.head->output->weight.value.to_vector<float>() == head);  // unchanged
  const std::string line = report.to_string();
  CHECK(line.find("optimizer.state") != line.npos);
  CHECK(line.find("SupContrast's names") != line.npos);
  CHECK(line.find('\n') == line.npos);
  const float value = store.find("conv1.weight").value.to_vector<float>()[5];
  CHECK(model.store.find("conv1.weight").value.to_vector<float>()[5] == static_cast<float>(BFloat16(value)));
}

TEST_CASE("weights: every model is recognized by names and shapes") {
  const TemporaryFolder folder;
  for (const std::string& model : resnet_names()) {
    if (model == "resnet101" || model == "resnet152") continue;  // large, and built like resnet50
    for (const Stem stem : {Stem::imagenet, Stem::cifar})
      for (const WeightNames names : {WeightNames::torchvision, WeightNames::supcontrast}) {
        ParameterStore store;
        const ResNet encoder(store, resnet_spec(model), stem);
        SafetensorsWriter writer;  // only shapes matter: one byte an element
        for (const Parameter& parameter : store.parameters())
          writer.add(name_for_others(names, parameter.name), DType::u8, file_shape(parameter.shape),
                     [&parameter] { return Tensor::zeros({parameter.shape.numel()}, DType::u8, Device::cpu); });
        writer.write(folder / "f");
        const WeightsInfo info = read_weights_info(folder / "f");
        CHECK(info.encoder.model == model);
        CHECK(info.encoder.stem == stem);
        CHECK(info.encoder.image_size == (stem == Stem::cifar ? 32 : 224));
        CHECK(info.assumed);
      }
  }
}

TEST_CASE("weights: what does not fit is one error that names it, and changes nothing") {
  const TemporaryFolder folder;
  ParameterStore small, large;
  const ResNet resnet20(small, resnet_spec("resnet20"), Stem::cifar);
  const ResNet resnet18(large, resnet_spec("resnet18"), Stem::cifar);
  randomize(small, 5);
  randomize(large, 6);
  save_weights(folder / "small", small, WeightNames::torchvision, {"resnet20", Stem::cifar, 32}, 0);
  const auto before = large.flat_values().to_vector<float>();
  const std::string shapes = complaint([&] { load_weights(folder / "small", large); });
  CHECK(shapes.find("conv1.weight (is [16, 3, 3, 3], should be [64, 3, 3, 3])") != shapes.npos);
  CHECK(large.flat_values().to_vector<float>() == before);

  SafetensorsWriter other;
  other.add("vit.weight", Tensor::zeros({3}, DType::f32, Device::cpu));
  other.write(folder / "other");
  CHECK(complaint([&] { load_weights(folder / "other", large); }).find("has no tensor of the model") !=
        std::string::npos);
  CHECK(complaint([&] { read_weights_info(folder / "other"); }).find("no ResNet") != std::string::npos);

  SafetensorsWriter twice;
  twice.add("fc.bias", Tensor::zeros({3}, DType::f32, Device::cpu));
  twice.add("module.fc.bias", Tensor::zeros({3}, DType::f32, Device::cpu));
  twice.write(folder / "twice");
  CHECK(complaint([&] { load_weights(folder / "twice", large); }).find("are names of the same weights") !=
        std::string::npos);

  small.find("bn1.bias").value.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  save_weights(folder / "nan", small, WeightNames::torchvision, {"resnet20", Stem::cifar, 32}, 0);
  ParameterStore fresh;
  const ResNet again(fresh, resnet_spec("resnet20"), Stem::cifar);
  fresh.allocate(Device::cpu, 1);
  const auto unchanged = fresh.flat_values().to_vector<float>();
  CHECK(complaint([&] {
          load_weights(folder / "nan", fresh);
        }).find("bn1.bias has a value that is not finite") != std::string::npos);
  CHECK(fresh.flat_values().to_vector<float>() == unchanged);
}

TEST_CASE("weights: classifiers are read with their class names, and checked") {
  const TemporaryFolder folder;
  const auto write = [&](const Shape& weight, const Shape& bias, const std::string& classes) {
    SafetensorsWriter writer;
    writer.add("fc.weight", Tensor::full(weight, 0.5, DType::f32, Device::cpu));
    writer.add("fc.bias", Tensor::full(bias, 2, DType::f32, Device::cpu));
    if (!classes.empty()) writer.set_metadata("classes", classes);
    writer.write(folder / "f");
  };
  const auto load = [&](std::int64_t dim = 4) {
    return complaint([&] { load_classifier(folder / "f", dim); });
  };
  write({2, 4}, {2}, R"(["cat","dog"])");
  CHECK(load_classifier(folder / "f", 4).class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(load(5).find("takes 4 features, the encoder gives 5") != std::string::npos);
  write({2, 4}, {2}, "");
  CHECK(load_classifier(folder / "f", 4).class_names == std::vector<std::string>{"0", "1"});
  for (const char* classes : {R"(["cat"])", "[1,2]", "{", "null"}) {
    write({2, 4}, {2}, classes);
    CHECK(load().find("list of 2 names") != std::string::npos);
  }
  write({2, 4}, {3}, "");
  CHECK(load().find("do not form a classifier") != std::string::npos);
  write({8}, {8}, "");
  CHECK(load().find("do not form a classifier") != std::string::npos);
  SafetensorsWriter().write(folder / "f");
  CHECK(load().find("holds no classifier") != std::string::npos);
}

TEST_CASE("encoder checksum: every value of the encoder counts, and none of a classifier beside it") {
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp, 3);
  randomize(model.store, 8);
  const std::string before = encoder_checksum(model.store);
  const auto with_a_change = [&](const std::string& name, std::int64_t at) {
    std::string checksum;
    for (const auto& [each, value] : model.store.tensors()) {
      if (each != name) continue;
      float& element = value.data<float>()[at];
      const float kept = std::exchange(element, element + 1);
      checksum = encoder_checksum(model.store);
      element = kept;
    }
    REQUIRE(!checksum.empty());
    return checksum;
  };
  for (const char* name : {"conv1.weight", "bn1.running_var", "layer3.2.bn2.bias"})
    for (const std::int64_t at : {0, 5}) {
      CAPTURE(name);
      CHECK(with_a_change(name, at) != before);
    }
  CHECK(with_a_change("fc.weight", 5) == before);
  CHECK(encoder_checksum(model.store) == before);
}

TEST_CASE("classifier file: the classifier of a trained network knows its encoder, in its file too") {
  const TemporaryFolder folder;
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::mlp, 3);
  randomize(model.store, 8);
  save_classifier(folder / "c", trained_classifier(model.store, {"a", "b", "c"}));
  const Classifier read = load_classifier(folder / "c", model.encoder.feature_dim);
  CHECK(!read.encoder.empty());
  CHECK(other_encoder_warning(read, "c", model.store).empty());
  for (const auto& [name, value] : model.store.tensors())
    if (name == "conv1.weight") value.data<float>()[0] += 1;
  CHECK(other_encoder_warning(read, "c", model.store)
            .starts_with("warning: c: this classifier was trained on the features of another encoder"));
}

TEST_CASE("an encoder file with a byte changed is refused") {
  const TemporaryFolder folder;
  ContrastiveModel model("resnet20", Stem::cifar, HeadKind::linear);
  model.store.allocate(Device::cpu, 1);
  save_encoder(folder / "e.safetensors", model.store, {"resnet20", Stem::cifar, 32, cifar10_pixels}, 7);
  load_encoder(folder / "e.safetensors", model.store);
  std::string bytes = read_bytes(folder / "e.safetensors");
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_bytes(folder / "e.safetensors", bytes);
  CHECK(test::error_of([&] { load_encoder(folder / "e.safetensors", model.store); }).find("is damaged") !=
        std::string::npos);
}

}  // namespace
}  // namespace kindred
