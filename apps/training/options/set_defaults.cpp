#include <kindred/apps/console/progress.h>
#include <kindred/apps/training/options/set_defaults.h>
#include <kindred/apps/training/options/weights_defaults.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t most_headers = 32;  // that are looked at, to know the size of pictures

// Model and size of a run with this config.json, if they are defaults; `usual` is one of them.
std::optional<ModelAndSize> default_of_run(const nlohmann::json& run, const ModelAndSize& usual) {
  if (!run.is_object()) return std::nullopt;
  const auto model = run.find("model"), size = run.find("image_size");
  if (model == run.end() || size == run.end() || !model->is_string() || !size->is_number_integer())
    return std::nullopt;
  const ModelAndSize of_run{model->get<std::string>(), size->get<std::int64_t>()};
  const auto& others = models_for_cpu();
  const bool is_default = of_run == usual || std::find(others.begin(), others.end(), of_run) != others.end();
  return is_default ? std::optional(of_run) : std::nullopt;
}

// The epochs of a run with this config.json, if they are a default.
std::optional<std::int64_t> default_epochs_of_run(const nlohmann::json& run) {
  const auto epochs = run.find("epochs");
  if (epochs == run.end() || !epochs->is_number_integer()) return std::nullopt;
  const auto& defaults = epochs_for_cpu();
  const auto found = std::find(defaults.begin(), defaults.end(), epochs->get<std::int64_t>());
  return found == defaults.end() ? std::nullopt : std::optional(*found);
}

void print_default_on_cpu(const CpuDefault& chosen, const CpuWork& work, const ModelAndSize& usual) {
  const std::string of_pictures = work.short_side > 0 ? fmt::format(" of {} pixels", work.short_side) : "";
  if (work.epochs) {
    fmt::print("--model {} --image-size {}: the default on a CPU for {}; on a GPU it is {} at {}\n",
               chosen.model.model, chosen.model.image_size,
               work.short_side > 0 ? "pictures" + of_pictures : "these pictures", usual.model,
               usual.image_size);
    return;
  }
  fmt::print(
      "--model {} --image-size {} --epochs {}: the default on a CPU for {}{}, about {} with {} that nothing "
      "else uses; give these flags to choose others (on a GPU it is {} at {}, {} epochs)\n",
      chosen.model.model, chosen.model.image_size, chosen.epochs, counted(work.images, "picture"), of_pictures,
      format_rough_duration(chosen.seconds), counted(work.threads, "thread"), usual.model, usual.image_size,
      epochs_for_cpu().front());
}

// Model and size, and the epochs if they are open.
void choose_model(const PretrainFlags& flags, const PretrainOptions& asked, Device device, const Dataset& train,
                  const nlohmann::json& earlier, GivenOptions& chosen) {
  const ModelAndSize usual{asked.model, asked.image_size};
  const bool epochs_are_open = flags.leaves_open(&GivenOptions::epochs);
  ModelAndSize model = usual;
  if (const auto of_run = default_of_run(earlier, usual)) {
    model = *of_run;
    if (epochs_are_open) chosen.epochs = default_epochs_of_run(earlier);
  } else if (is_host(device)) {
    CpuWork work;
    work.short_side = typical_short_side(train);
    work.images = train.size();
    work.views = asked.views;
    work.threads = compute_threads() * static_cast<int>(asked.processes);
    if (!epochs_are_open) work.epochs = asked.epochs;
    const CpuDefault on_cpu = default_on_cpu(work);
    model = on_cpu.model;
    if (epochs_are_open) chosen.epochs = on_cpu.epochs;
    print_default_on_cpu(on_cpu, work, usual);
  }
  chosen.model = model.model;
  chosen.image_size = model.image_size;
}

}  // namespace

std::int64_t default_batch_size(const PretrainOptions& o, std::int64_t images) {
  if (images >= o.batch_size && o.batch_size % o.processes == 0) return o.batch_size;
  images = std::min(images, o.batch_size);
  const std::int64_t micro_batch = o.processes * std::max<std::int64_t>(1, o.micro_batch);
  if (o.per_class > images) return images;
  std::int64_t unit = o.per_class;
  if (micro_batch <= images && std::lcm(unit, micro_batch) <= images) unit = std::lcm(unit, micro_batch);
  return images / unit * unit;
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
  const auto of_run = earlier.is_object() ? earlier.find("batch_size") : earlier.end();
  if (flags.leaves_batch_size_open() && of_run != earlier.end() && of_run->is_number_integer()) {
    chosen.batch_size =
        of_run->get<std::int64_t>();  // the run goes on, whatever its number of processes is now
  } else if (flags.leaves_batch_size_open()) {
    chosen.batch_size = default_batch_size(asked, train.size());
    if (*chosen.batch_size != asked.batch_size)
      fmt::print("--batch-size {}: {}\n", *chosen.batch_size,
                 train.size() < asked.batch_size
                     ? fmt::format("the set has {}, fewer than the usual batch of {}",
                                   counted(train.size(), "training image"), asked.batch_size)
                     : fmt::format("{} processes cannot share the usual batch of {}", asked.processes,
                                   asked.batch_size));
  }
  if (!asked.weights.empty()) choose_by_weights(flags, asked, earlier, chosen);
  if (flags.leaves_model_open()) choose_model(flags, asked, device, train, earlier, chosen);
  return chosen;
}

}  // namespace kindred
