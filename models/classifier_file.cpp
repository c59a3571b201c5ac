#include <kindred/engine/files/json_text.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/weights_file.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <xxhash.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace kindred {
namespace {

constexpr const char* encoder_key = "encoder_xxh3";  // in the metadata

std::vector<std::string> names_in(const SafetensorsFile& file, std::int64_t classes) {
  std::vector<std::string> names;
  const auto text = file.metadata().find("classes");
  if (text == file.metadata().end()) {
    for (std::int64_t i = 0; i < classes; ++i) names.push_back(std::to_string(i));
    return names;
  }
  const auto list = parse_hostile_json(text->second);
  bool good = list.is_array() && static_cast<std::int64_t>(list.size()) == classes;
  for (std::size_t i = 0; good && i < list.size(); ++i) {
    good = list[i].is_string();
    if (good) names.push_back(list[i].get<std::string>());
  }
  check(good, ExitCode::file, "{}: the metadata's \"classes\" should be a list of {} names", file.path(),
        classes);
  return names;
}

}  // namespace

Classifier load_classifier(const std::filesystem::path& path, std::int64_t feature_dim) {
  const SafetensorsFile file(path);
  const NamedEntries entries = entries_by_own_name(file);
  const auto weight = entries.find("fc.weight"), bias = entries.find("fc.bias");
  check(weight != entries.end() && bias != entries.end(), ExitCode::file,
        "{} holds no classifier: it has no fc.weight and fc.bias; give the classifier.safetensors of "
        "linear_probe",
        file.path());
  const std::vector<std::int64_t>&w = weight->second->shape, &b = bias->second->shape;
  check(w.size() == 2 && b.size() == 1 && w[0] == b[0] && w[0] >= 1, ExitCode::file,
        "{}: fc.weight [{}] and fc.bias [{}] do not form a classifier", file.path(), fmt::join(w, ", "),
        fmt::join(b, ", "));
  check(w[1] == feature_dim, ExitCode::file,
        "{}: the classifier takes {} features, the encoder gives {}; they belong to different models",
        file.path(), w[1], feature_dim);
  Classifier classifier{Tensor::empty({w[0], w[1]}, DType::f32, Device::cpu),
                        Tensor::empty({b[0]}, DType::f32, Device::cpu), names_in(file, w[0])};
  classifier.has_names = file.metadata().contains("classes");
  if (const auto encoder = file.metadata().find(encoder_key); encoder != file.metadata().end())
    classifier.encoder = encoder->second;
  // In a whole network, which says what its model is, these are facts about the encoder.
  if (!file.metadata().contains("model")) classifier.held_out = parse_held_out(file.path(), file.metadata());
  file.read_into(*weight->second, classifier.weight);
  file.read_into(*bias->second, classifier.bias);
  for (const Tensor& tensor : {classifier.weight, classifier.bias})
    for (const float value : tensor.to_vector<float>())
      check(std::isfinite(value), ExitCode::file, "{}: the classifier has a value that is not finite",
            file.path());
  return classifier;
}

bool has_classifier(const ParameterStore& store) {
  const auto& parameters = store.parameters();
  return std::any_of(parameters.begin(), parameters.end(),
                     [](const Parameter& parameter) { return parameter.name == "fc.weight"; });
}

Classifier classifier_in(const ParameterStore& store, std::vector<std::string> class_names) {
  const auto on_host = [&](const char* name) { return store.find(name).value.to(Device::cpu, DType::f32); };
  return {on_host("fc.weight"), on_host("fc.bias"), std::move(class_names)};
}

std::string encoder_checksum(const ParameterStore& store) {
  std::map<std::string, Tensor> tensors;  // in an order that does not depend on the store's
  for (const auto& [name, value] : store.tensors())
    if (belongs_to_encoder(name)) tensors.emplace(name, value);
  XXH64_hash_t hash = 0;
  for (const auto& [name, value] : tensors) {
    const std::vector<float> values = value.to_vector<float>();
    hash = XXH3_64bits_withSeed(name.data(), name.size(), hash);
    hash = XXH3_64bits_withSeed(values.data(), values.size() * sizeof(float), hash);
  }
  return fmt::format("{:016x}", hash);
}

std::string other_encoder_warning(const Classifier& classifier, const std::string& path,
                                  const ParameterStore& store) {
  if (classifier.encoder.empty() || classifier.encoder == encoder_checksum(store)) return {};
  return fmt::format(
      "warning: {}: this classifier was trained on the features of another encoder, so what it says about "
      "those of "
      "this one means nothing; give the encoder that it was trained on, or train a classifier with "
      "linear_probe",
      path);
}

Classifier trained_classifier(const ParameterStore& store, std::vector<std::string> class_names,
                              const std::optional<HeldOutImages>& held_out) {
  Classifier classifier = classifier_in(store, std::move(class_names));
  classifier.encoder = encoder_checksum(store);
  classifier.held_out = held_out;
  return classifier;
}

void save_classifier(const std::filesystem::path& path, const Classifier& classifier, FileOperations& files) {
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");
  writer.set_metadata("classes", json_text(classifier.class_names));
  if (!classifier.encoder.empty()) writer.set_metadata(encoder_key, classifier.encoder);
  add_held_out(writer, classifier.held_out);
  writer.add("fc.weight", classifier.weight);
  writer.add("fc.bias", classifier.bias);
  writer.write(path, files);
}

}  // namespace kindred
