#include <kindred/engine/files/json_text.h>
#include <kindred/models/classifier_file.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <cmath>

namespace kindred {
namespace {

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
  file.read_into(*weight->second, classifier.weight);
  file.read_into(*bias->second, classifier.bias);
  for (const Tensor& tensor : {classifier.weight, classifier.bias})
    for (const float value : tensor.to_vector<float>())
      check(std::isfinite(value), ExitCode::file, "{}: the classifier has a value that is not finite",
            file.path());
  return classifier;
}

}  // namespace kindred
