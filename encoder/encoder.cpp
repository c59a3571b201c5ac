#include <kindred/data/sets/dataset.h>
#include <kindred/encoder/encoder.h>
#include <kindred/encoder/visit_features.h>
#include <kindred/engine/error.h>
#include <kindred/engine/precision.h>
#include <kindred/models/weights_file.h>

#include <system_error>
#include <utility>

namespace kindred {

struct Encoder::Loaded {
  EncoderInfo info;
  ParameterStore store;
  std::unique_ptr<ResNet> network;
  FeatureInput input;
};

Encoder::Encoder(std::unique_ptr<const Loaded> loaded) : loaded_(std::move(loaded)) {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;

Encoder Encoder::open(const std::filesystem::path& path, const EncoderOptions& options) {
  check(options.batch_size >= 1 && options.workers >= 0, ExitCode::usage,
        "Encoder: a batch of {} images and {} workers; expected at least 1 and 0", options.batch_size,
        options.workers);
  std::error_code ignored;
  const std::filesystem::path file =
      std::filesystem::is_directory(path, ignored) ? path / "encoder.safetensors" : path;
  auto loaded = std::make_unique<Loaded>();
  EncoderInfo& info = loaded->info;
  const WeightsInfo known = read_weights_info(file);
  // A checkpoint of an earlier version does not say how its images were prepared, and a guess would silently give other
  // features. read_encoder_info() refuses it.
  info = known.assumed && is_checkpoint(SafetensorsFile(file)) ? read_encoder_info(file) : known.encoder;
  const Device device = choose_device(options.device).device;
  const DType type = default_precision(device).compute;
  loaded->network = std::make_unique<ResNet>(loaded->store, resnet_spec(info.model), info.stem);
  loaded->store.allocate(device, 0, type);
  const WeightsReport report = load_weights(file, loaded->store);
  check(report.missing.empty(), ExitCode::file, "{}: a part of the {} is missing: {}", file.string(),
        info.model, some_of(report.missing));
  FeatureInput& input = loaded->input;
  input.device = device;
  input.precision = type;
  input.prepare_as(info);
  input.batch_size = options.batch_size;
  input.workers = options.workers;
  return Encoder(std::move(loaded));
}

Tensor Encoder::features(const std::filesystem::path& image) const {
  const ImageFeatures one = features_of_files({image.string()});
  check(one.unreadable.empty(), ExitCode::data, "{}: {}", image.string(),
        one.unreadable.empty() ? "" : one.unreadable.front().reason);
  return one.features;
}

ImageFeatures Encoder::features_of_files(const std::vector<std::string>& paths) const {
  ImageFeatures found;
  std::vector<float> values;
  if (!paths.empty()) {
    DecodeLimits limits;
    limits.exif = loaded_->info.exif;
    const auto keep = [&](const Batch& batch, const Tensor& computed) {
      const std::vector<float> rows = computed.to_vector<float>();
      values.insert(values.end(), rows.begin(), rows.end());
      for (const std::int64_t i : batch.indices) found.names.push_back(paths[static_cast<std::size_t>(i)]);
      return true;
    };
    std::vector<BadImage> bad;
    visit_features(*loaded_->network, open_image_files(paths, limits), loaded_->input, keep, &bad);
    for (const BadImage& image : bad)
      if (image.outcome == Outcome::rejected) found.unreadable.push_back({image.path, image.reason});
  }
  found.features = Tensor::from(values, {static_cast<std::int64_t>(found.names.size()), dim()}, Device::cpu);
  return found;
}

ImageFeatures Encoder::features_of_folder(const std::filesystem::path& folder) const {
  const std::vector<std::string> paths = image_files_below(folder.string(), false);
  check(!paths.empty(), ExitCode::data, "{}: no images in it, at any depth", folder.string());
  return features_of_files(paths);
}

std::int64_t Encoder::dim() const {
  return loaded_->network->feature_dim;
}

Device Encoder::device() const {
  return loaded_->input.device;
}

const EncoderInfo& Encoder::info() const {
  return loaded_->info;
}

}  // namespace kindred
