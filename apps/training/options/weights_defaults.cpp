#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/options/weights_defaults.h>
#include <kindred/engine/error.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/resnet.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {
namespace {

// The value of --pixels that stands for these statistics.
std::string name_of_pixels(const PixelStatistics& pixels, const std::string& file) {
  constexpr std::array names = {"imagenet", "cifar10", "cifar100"};
  for (const char* name : names)
    if (pixel_statistics(name) == pixels) return name;
  fail(ExitCode::file,
       "--weights {}: its pixel statistics are none of those that pretrain knows; give one of {} with --pixels",
       file, fmt::join(names, ", "));
}

void take_from_run(const nlohmann::json& run, const PretrainFlags& flags, GivenOptions& chosen) {
  const auto take_text = [&](const char* key, std::optional<std::string> GivenOptions::*option) {
    if (flags.leaves_open(option) && run.contains(key) && run[key].is_string())
      chosen.*option = run[key].get<std::string>();
  };
  take_text("model", &GivenOptions::model);
  take_text("stem", &GivenOptions::stem);
  take_text("pixels", &GivenOptions::pixels);
  take_text("resize", &GivenOptions::resize);
  if (flags.leaves_open(&GivenOptions::image_size) && run.contains("image_size") &&
      run["image_size"].is_number_integer())
    chosen.image_size = run["image_size"].get<std::int64_t>();
}

// The file of --weights, which a file of --config may name.
std::filesystem::path file_of_weights(const PretrainFlags& flags, const PretrainOptions& asked) {
  try {
    return weights_file("--weights", asked.weights, asked.best);
  } catch (const Error& error) {
    if (!flags.config_gives("--weights")) throw;
    throw Error(error.code(),
                fmt::format("{}; {} gives --weights, so give it anew beside --config", error.what(),
                            flags.config_file()),
                error.cause());
  }
}

// Models whose stages differ only in their number of blocks have the same tensors in part, and weights of one may begin the
// other.
void check_same_family(const std::string& model, const WeightsInfo& info, const std::string& file) {
  const ResNetSpec &wanted = resnet_spec(model), &found = resnet_spec(info.encoder.model);
  check(wanted.bottleneck == found.bottleneck && wanted.width == found.width, ExitCode::file,
        "--weights {} does not fit the model {}: it holds a {}; leave --model out, as the file says which, "
        "or give --model {}",
        file, wanted.name, found.name, found.name);
}

// What the file says; nullopt if it has no model that is known. Reading its weights says why.
std::optional<WeightsInfo> known_weights(const std::filesystem::path& file) {
  try {
    return weights_info_of(file);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

void choose_by_weights(const PretrainFlags& flags, const PretrainOptions& asked, const nlohmann::json& earlier,
                       GivenOptions& chosen) {
  if (earlier.is_object()) return take_from_run(earlier, flags, chosen);
  const std::filesystem::path file = file_of_weights(flags, asked);
  if (!flags.leaves_open(&GivenOptions::model))
    if (const auto known = known_weights(file)) check_same_family(asked.model, *known, file.string());
  if (!flags.leaves_open(&GivenOptions::model) && !flags.leaves_open(&GivenOptions::stem) &&
      !flags.leaves_open(&GivenOptions::image_size) && !flags.leaves_open(&GivenOptions::pixels) &&
      !flags.leaves_open(&GivenOptions::resize) && !flags.leaves_open(&GivenOptions::exif))
    return;
  const WeightsInfo info = weights_info_of(file);
  std::vector<std::string> taken, assumed;
  if (flags.leaves_open(&GivenOptions::model)) {
    chosen.model = info.encoder.model;
    taken.push_back("--model " + *chosen.model);
  }
  if (flags.leaves_open(&GivenOptions::stem)) {
    chosen.stem = name(info.encoder.stem);
    taken.push_back("--stem " + *chosen.stem);
  }
  std::vector<std::string>& of_images = info.assumed ? assumed : taken;
  if (flags.leaves_open(&GivenOptions::image_size)) {
    chosen.image_size = info.encoder.image_size;
    of_images.push_back(fmt::format("--image-size {}", *chosen.image_size));
  }
  if (flags.leaves_open(&GivenOptions::pixels)) {
    chosen.pixels = name_of_pixels(info.encoder.pixels, file.string());
    of_images.push_back("--pixels " + *chosen.pixels);
  }
  if (flags.leaves_open(&GivenOptions::resize) && info.encoder.resize != ResizeMode::crop) {
    chosen.resize = name_of(resize_names, info.encoder.resize);
    taken.push_back("--resize " + *chosen.resize);
  }
  // The images are open already, so this cannot be taken.
  if (flags.leaves_open(&GivenOptions::exif) && info.encoder.exif == ExifMode::apply)
    fmt::print("warning: {} was trained with --exif apply; give it here too\n", file.string());
  if (!taken.empty()) fmt::print("from {}: {}\n", file.string(), fmt::join(taken, " "));
  if (!assumed.empty())
    fmt::print("assumed, because {} does not say it: {}; give others if it was trained with others\n",
               file.string(), fmt::join(assumed, " "));
}

}  // namespace kindred
