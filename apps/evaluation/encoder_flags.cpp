#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <thread>

namespace kindred {

namespace {

constexpr NumberRange batch_sizes{"1 to 65536", 1, 65536};

std::string path_of_weights(const EncoderFlags& f) {
  return weights_file(f.encoder.empty() ? "--weights" : "--encoder", f.file(), f.best).string();
}

}  // namespace

void load_frozen_weights(const std::string& path, const EncoderInfo& info, ParameterStore& store,
                         std::FILE* out) {
  const WeightsReport report = load_weights(path, store);
  check(report.missing.empty(), ExitCode::file, "--weights {}: a part of the {} is missing: {}", path,
        info.model, some_of(report.missing));
  fmt::print(out, "{}\n", report.to_string());
  fmt::print(out,
             "{} with the {} stem; images are prepared as {} pixels, mean {:.4f} {:.4f} {:.4f} (--image-size, "
             "--pixels)\n",
             info.model, name(info.stem), info.image_size, info.pixels.mean[0], info.pixels.mean[1],
             info.pixels.mean[2]);
}

void EncoderFlags::add_to(CommandLine& line) {
  workers = std::max(1u, std::thread::hardware_concurrency());
  const Flag own = line.add("--encoder", encoder, encoder_help);
  line.add("--weights", weights, weights_help).excludes(own);
  line.add_switch("--best", best, best_help);
  line.add("--image-size", image_size, "side of an image (as the encoder was trained)").within(sides_in_pixels);
  line.add("--pixels", pixels,
           "mean and deviation of pixels: imagenet, cifar10 or cifar100 (as the encoder was trained)");
  line.add("--resize", resize, fmt::format("{} (as the encoder was trained)", resize_help));
  line.add("--exif", exif, fmt::format("{} (as the encoder was trained)", exif_help));
  line.add("-b,--batch-size", batch_size, "images at a time").shows_default().within(batch_sizes);
  line.add("--precision", precision, precision_help);
  line.add("--device", device, device_help).shows_default();
  line.add("-j,--workers", workers, "threads that load images").shows_default().within(numbers_of_workers);
}

void EncoderFlags::check_values() const {
  check(!encoder.empty() || !weights.empty(), ExitCode::usage,
        "give --encoder RUN/encoder.safetensors, or --weights FILE");
  if (best) path_of_weights(*this);  // before anything else is read
  if (!pixels.empty()) pixel_statistics(pixels);
  if (!resize.empty()) parse_resize(resize);
  if (!exif.empty()) parse_exif(exif);
}

EncoderInfo EncoderFlags::encoder_info() const {
  const std::string path = path_of_weights(*this);
  EncoderInfo info = encoder.empty() ? weights_info_of(path).encoder : encoder_info_of(path);
  if (image_size) info.image_size = image_size;
  if (!pixels.empty()) info.pixels = pixel_statistics(pixels);
  if (!resize.empty()) info.resize = parse_resize(resize);
  if (!exif.empty()) info.exif = parse_exif(exif);
  return info;
}

std::unique_ptr<FrozenEncoder> EncoderFlags::load(std::FILE* out) const {
  const DeviceChoice choice = choose_device(device);
  const Precision computed = precision_for(precision, choice.device);
  const DType type = computed.compute;
  report_device(choice, computed, out);
  auto frozen = std::make_unique<FrozenEncoder>();
  frozen->known_plans.emplace(choice, PlanRules{.allow_tf32 = computed.tf32});
  EncoderInfo& info = frozen->info;
  const std::string path = path_of_weights(*this);
  info = encoder_info();
  frozen->is_assumed = encoder.empty() && weights_info_of(path).assumed;
  frozen->encoder = std::make_unique<ResNet>(frozen->store, resnet_spec(info.model), info.stem);
  frozen->store.allocate(choice.device, 0, type);
  if (encoder.empty())
    load_frozen_weights(path, info, frozen->store, out);
  else
    load_encoder(path, frozen->store);
  FeatureOptions& features = frozen->features;
  features.device = choice.device;
  features.precision = type;
  features.prepare_as(info);
  features.batch_size = static_cast<int>(batch_size);
  features.workers = static_cast<int>(workers);
  return frozen;
}

}  // namespace kindred
