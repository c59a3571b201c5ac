#include <kindred/apps/evaluation/probe_features.h>
#include <kindred/engine/error.h>

namespace kindred {

ProbeImages open_probe_images(const DataFlags& data) {
  const Dataset train = *data.open(Split::train);
  print_notes(train);
  const auto evaluation = data.open(Split::evaluation);
  check(evaluation.has_value(), ExitCode::data,
        "{} has no val or test images that can be used: a probe needs some to be measured on; {}", data.path,
        data.evaluation_advice());
  print_notes(*evaluation, &train);
  return {train, *evaluation};
}

ProbeFeatures probe_features(const FrozenEncoder& frozen, const ProbeImages& images, const std::string& path) {
  ProbeFeatures tables;
  FeatureOptions features = frozen.features;
  std::vector<BadImage> bad_evaluation;
  features.what = "training features";
  tables.training = extract_features(*frozen.encoder, images.train, features, &tables.bad);
  features.what = "evaluation features";
  tables.testing = extract_features(*frozen.encoder, images.evaluation, features, &bad_evaluation);
  tables.bad.insert(tables.bad.end(), bad_evaluation.begin(), bad_evaluation.end());
  check(tables.training.rows() > 0 && tables.testing.rows() > 0, ExitCode::data,
        "{}: not one image could be read", path);
  for (const FeatureTable* table : {&tables.training, &tables.testing}) check_finite_features(table->features);
  return tables;
}

}  // namespace kindred
