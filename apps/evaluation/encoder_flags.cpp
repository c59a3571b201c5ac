#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <thread>

namespace kindred {

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
  const Flag own = line.add("--encoder", encoder, "RUN/encoder.safetensors of a pretrain run");
  line.add("--weights", weights,
           "a .safetensors file of torchvision's, timm's or SupContrast's weights instead")
      .excludes(own);
  line.add("--image-size", image_size, "side of an image in pixels (as the encoder was trained)");
  line.add("--pixels", pixels,
           "mean and deviation of pixels: imagenet, cifar10 or cifar100 (as the encoder was trained)");
  line.add("-b,--batch-size", batch_size, "images at a time").shows_default();
  line.add("--precision", precision, precision_help);
  line.add("--device", device, device_help).shows_default();
  line.add("-j,--workers", workers, "threads that load images").shows_default();
}

void EncoderFlags::check_values() const {
  check(!encoder.empty() || !weights.empty(), ExitCode::usage,
        "give --encoder RUN/encoder.safetensors, or --weights FILE");
  check(image_size == 0 || (image_size >= 8 && image_size <= 4096), ExitCode::usage,
        "--image-size {}: expected 8 to 4096 pixels", image_size);
  check(batch_size >= 1 && batch_size <= 1 << 16, ExitCode::usage, "--batch-size {}: expected 1 to 65536",
        batch_size);
  check(workers >= 0 && workers <= 1024, ExitCode::usage, "--workers {}: expected 0 to 1024", workers);
  if (!pixels.empty()) pixel_statistics(pixels);
}

std::unique_ptr<FrozenEncoder> EncoderFlags::load(std::FILE* out) const {
  const DeviceChoice choice = choose_device(device);
  const Precision computed = precision_for(precision, choice.device);
  const DType type = computed.compute;
  report_device(choice, computed, out);
  auto frozen = std::make_unique<FrozenEncoder>();
  frozen->known_plans.emplace(choice, PlanRules{.allow_tf32 = computed.tf32});
  EncoderInfo& info = frozen->info;
  info = encoder.empty() ? read_weights_info(weights).encoder : read_encoder_info(encoder);
  if (image_size) info.image_size = image_size;
  if (!pixels.empty()) info.pixels = pixel_statistics(pixels);
  frozen->encoder = std::make_unique<ResNet>(frozen->store, resnet_spec(info.model), info.stem);
  frozen->store.allocate(choice.device, 0, type);
  if (encoder.empty())
    load_frozen_weights(weights, info, frozen->store, out);
  else
    load_encoder(encoder, frozen->store);
  FeatureOptions& features = frozen->features;
  features.device = choice.device;
  features.precision = type;
  features.pixels = info.pixels;
  features.image_size = static_cast<int>(info.image_size);
  features.batch_size = static_cast<int>(batch_size);
  features.workers = static_cast<int>(workers);
  return frozen;
}

}  // namespace kindred
