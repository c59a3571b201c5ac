#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/apps/training/options/weights_defaults.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t most_headers = 32;  // that are looked at, to know the size of pictures

const std::vector<ModelAndSize>& defaults_on_cpu() {
  static const std::vector<ModelAndSize> all = {
      {"resnet20", 32}, {"resnet18", 64}, {"resnet18", 96}, {"resnet18", 128}};
  return all;
}

// Model and size of a run with this config.json, if they are defaults; `usual` is one of them.
std::optional<ModelAndSize> default_of_run(const nlohmann::json& run, const ModelAndSize& usual) {
  if (!run.is_object()) return std::nullopt;
  const auto model = run.find("model"), size = run.find("image_size");
  if (model == run.end() || size == run.end() || !model->is_string() || !size->is_number_integer())
    return std::nullopt;
  const ModelAndSize of_run{model->get<std::string>(), size->get<std::int64_t>()};
  const auto& others = defaults_on_cpu();
  const bool is_default = of_run == usual || std::find(others.begin(), others.end(), of_run) != others.end();
  return is_default ? std::optional(of_run) : std::nullopt;
}

ModelAndSize choose_model(const ModelAndSize& usual, Device device, const Dataset& train,
                          const nlohmann::json& earlier) {
  if (const auto of_run = default_of_run(earlier, usual)) return *of_run;
  if (!is_host(device)) return usual;
  const std::int64_t side = typical_short_side(train);
  const ModelAndSize chosen = default_on_cpu(side, train.size());
  const std::string pictures = side > 0 ? fmt::format("pictures of {} pixels", side) : "these pictures";
  fmt::print("--model {} --image-size {}: the default on a CPU for {}; on a GPU it is {} at {}\n", chosen.model,
             chosen.image_size, pictures, usual.model, usual.image_size);
  return chosen;
}

}  // namespace

std::int64_t default_batch_size(const PretrainOptions& o, std::int64_t images) {
  if (images >= o.batch_size) return o.batch_size;
  const std::int64_t micro_batch = std::max<std::int64_t>(1, o.micro_batch);
  if (o.per_class > images) return images;
  std::int64_t unit = o.per_class;
  if (micro_batch <= images && std::lcm(unit, micro_batch) <= images) unit = std::lcm(unit, micro_batch);
  return images / unit * unit;
}

ModelAndSize default_on_cpu(std::int64_t short_side, std::int64_t images) {
  constexpr std::int64_t few = 5000;
  const auto& defaults = defaults_on_cpu();
  if (short_side <= 48) return defaults[0];
  if (short_side <= 96) return defaults[1];
  return short_side < 128 || images > few ? defaults[2] : defaults[3];
}

std::int64_t typical_short_side(const Dataset& set) {
  std::vector<std::int64_t> sides;
  std::vector<std::uint8_t> bytes;
  const std::int64_t headers = std::min(set.size(), most_headers);
  for (std::int64_t k = 0; k < headers; ++k) {
    const std::int64_t i = k * set.size() / headers;
    int height = 0, width = 0;
    if (const std::optional<Encoded> file = set.source().encoded(i, bytes)) {
      if (!file->ok()) continue;
      const ImageHeader header = probe_image(file->bytes, set.source().limits());
      if (!header.ok()) continue;
      height = header.height;
      width = header.width;
    } else {  // the source has the pixels
      const Decoded decoded = set.load(i);
      height = decoded.image.height;
      width = decoded.image.width;
    }
    if (height > 0 && width > 0) sides.push_back(std::min(height, width));
  }
  if (sides.empty()) return 0;
  const auto middle = sides.begin() + static_cast<std::ptrdiff_t>(sides.size() / 2);
  std::nth_element(sides.begin(), middle, sides.end());
  return *middle;
}

GivenOptions choose_defaults(const PretrainFlags& flags, const PretrainOptions& asked, Device device,
                             const Dataset& train, const nlohmann::json& earlier) {
  GivenOptions chosen;
  chosen.precision = name(asked.precision);
  if (flags.leaves_batch_size_open()) {
    chosen.batch_size = default_batch_size(asked, train.size());
    if (*chosen.batch_size != asked.batch_size)
      fmt::print("--batch-size {}: the set has {}, fewer than the usual batch of {}\n", *chosen.batch_size,
                 counted(train.size(), "training image"), asked.batch_size);
  }
  if (!asked.weights.empty()) choose_by_weights(flags, asked, earlier, chosen);
  if (flags.leaves_model_open()) {
    const ModelAndSize of_set = choose_model({asked.model, asked.image_size}, device, train, earlier);
    chosen.model = of_set.model;
    chosen.image_size = of_set.image_size;
  }
  return chosen;
}

}  // namespace kindred
