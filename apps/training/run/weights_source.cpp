#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/checkpoint_folder.h>
#include <kindred/apps/training/run/weights_source.h>
#include <kindred/engine/error.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/file_order.h>

#include <algorithm>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::optional<HeadKind> head_in(const fs::path& path) {
  const SafetensorsFile file(path);
  const NamedEntries entries = entries_by_own_name(file);
  if (entries.contains("head.2.weight")) return HeadKind::mlp;
  if (entries.contains("head.weight")) return HeadKind::linear;
  return std::nullopt;
}

void load_head(const fs::path& path, ParameterStore& store) {
  const SafetensorsFile file(path);
  WeightMatch match = match_weights(file, store);
  std::erase_if(match.found, [](const WeightMatch::Found& each) { return !each.name.starts_with("head."); });
  std::erase_if(match.reshaped, [](const std::string& text) { return !text.starts_with("head."); });
  check(match.reshaped.empty(), ExitCode::file, "{}: the projection head belongs to another model: {}",
        file.path(), some_of(match.reshaped));
  set_weights(file, match.found, store);
}

}  // namespace

bool are_of_one_step(const fs::path& encoder, const fs::path& checkpoint) {
  if (read_weights_info(encoder).batches_tracked != read_run_state(checkpoint).steps_done) return false;
  const SafetensorsFile a(encoder), b(checkpoint);
  const auto read = [](const SafetensorsFile& file) { return file.read<float>(file.at("bn1.running_mean")); };
  return read(a) == read(b) && b.checksum_matches();
}

WeightsSource find_weights(const std::string& flag, const fs::path& run_or_file, bool best) {
  WeightsSource source;
  source.encoder = weights_file(flag, run_or_file, best);
  if (const auto kind = head_in(source.encoder)) {
    source.head = source.encoder;
    source.head_kind = *kind;
  }
  std::error_code ignored;
  if (source.head || !fs::is_directory(run_or_file, ignored)) return source;
  for (const fs::path& checkpoint : CheckpointFolder(run_or_file, 1).candidates()) {
    try {
      const auto kind = head_in(checkpoint);
      if (!kind || !are_of_one_step(source.encoder, checkpoint)) continue;
      source.head = checkpoint;
      source.head_kind = *kind;
      break;
    } catch (const Error&) {  // a damaged checkpoint; there may be another one
    }
  }
  return source;
}

std::unique_ptr<LoadedModel> load_model(const WeightsSource& source, const LoadOptions& options) {
  auto model = std::make_unique<LoadedModel>();
  model->info = weights_info_of(source.encoder);
  const EncoderInfo& info = model->info.encoder;
  model->encoder.emplace(model->store, resnet_spec(info.model), info.stem);
  const std::int64_t dim = model->encoder->feature_dim;
  if (options.with_head) {
    check(source.head.has_value(), ExitCode::file,
          "{} comes without a projection head: give the run folder, whose checkpoint has it",
          source.encoder.string());
    model->head.emplace(model->store, source.head_kind, dim);
  }
  std::optional<Classifier> classifier;
  if (!options.classifier.empty()) {
    classifier = load_classifier(options.classifier, dim);
    model->classifier.emplace(model->store, "fc", dim, classifier->classes());
    model->class_names = classifier->class_names;
  }
  model->store.allocate(options.device, 0, options.precision);
  load_encoder(source.encoder, model->store);
  if (options.with_head) load_head(*source.head, model->store);
  if (classifier) {
    from_file_order(classifier->weight.to_vector<float>(), model->classifier->weight.value);
    from_file_order(classifier->bias.to_vector<float>(), model->classifier->bias.value);
    model->store.refresh_low_precision();
    model->warning = other_encoder_warning(*classifier, options.classifier, model->store);
  }
  return model;
}

}  // namespace kindred
