// Stage two: freezes the encoder and trains a linear classifier on its features with cross-entropy. Encoders
// are compared by the resulting accuracy.
//
// Several processes share the images of which the encoder computes features. Each trains the same classifier, and the first
// one writes it.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/known_plans.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/evaluation/probe.h>
#include <kindred/apps/evaluation/probe_features.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/processes/agreement.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/classifier_file.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Threads that load images, if no flag says how many.
std::int64_t threads_of_machine() {
  return std::max(1u, std::thread::hardware_concurrency());
}

struct Flags {
  DataFlags data;
  std::string out, encoder, weights, untrained, augment = "none", device = "auto";
  std::optional<std::string> precision;
  std::string stem, pixels, resize, exif;
  std::int64_t image_size = 0, workers = threads_of_machine();
  bool best = false, overwrite = false;
  ProbeOptions probe;
  ProcessesAsked processes;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  f.data.add_evaluation_split_to(line);
  const Flag encoder = line.add("--encoder", f.encoder, encoder_help);
  const Flag weights = line.add("--weights", f.weights, weights_help).excludes(encoder);
  const Flag best = line.add_switch("--best", f.best, best_help);
  const Flag untrained = line.add("--untrained", f.untrained, "probe random weights of this model instead")
                             .excludes(encoder)
                             .excludes(weights)
                             .excludes(best);
  line.add("--out", f.out, "folder for the results").required();
  line.add("--augment", f.augment, "none: features once, without augmentation; probe: augmented images")
      .shows_default();
  line.add("--epochs", f.probe.epochs).shows_default().within(positive_integers);
  line.add("-b,--batch-size", f.probe.batch_size).shows_default().within(positive_integers);
  line.add("--lr", f.probe.lr, "cosine to 0").shows_default().within(not_negative_numbers);
  line.add("--momentum", f.probe.momentum).shows_default().within(shares_below_one);
  line.add("--weight-decay", f.probe.weight_decay).shows_default().within(not_negative_numbers);
  line.add("--label-smoothing", f.probe.label_smoothing).shows_default().within(shares_below_one);
  line.add_seed(f.probe.seed, "of the order of the images");
  line.add("--image-size", f.image_size, "side of an image (as the encoder was trained)")
      .within(sides_in_pixels);
  line.add("--pixels", f.pixels,
           "mean and deviation of pixels: imagenet, cifar10 or cifar100 (as the encoder was trained)");
  line.add("--resize", f.resize, fmt::format("{} (as the encoder was trained)", resize_help));
  line.add("--exif", f.exif, fmt::format("{} (as the encoder was trained)", exif_help));
  line.add("--stem", f.stem, "of an untrained model: imagenet or cifar (cifar up to 32 pixels)")
      .needs(untrained);
  line.add("--precision", f.precision, precision_help);
  line.add("--device", f.device, device_help).shows_default();
  line.add("-j,--workers", f.workers, "threads that load images").shows_default().within(numbers_of_workers);
  add_process_flags(line, f.processes);
  line.add_switch("--overwrite", f.overwrite, "replace the result in --out");
  line.add_quiet();
}

void check_flags(const Flags& f) {
  check(!f.encoder.empty() || !f.weights.empty() || !f.untrained.empty(), ExitCode::usage,
        "give --encoder RUN/encoder.safetensors, --weights FILE, or --untrained MODEL");
  check(f.augment == "none" || f.augment == "probe", ExitCode::usage, "--augment {}: expected none or probe",
        f.augment);
  if (!f.resize.empty()) parse_resize(f.resize);
  if (!f.exif.empty()) parse_exif(f.exif);
  f.data.check_values();
  f.data.check_outside("--out", f.out);
  f.probe.check_values();
  check_processes(f.processes);
}

EncoderInfo encoder_info(const Flags& f) {
  EncoderInfo info;
  if (!f.encoder.empty()) {
    info = encoder_info_of(f.encoder);
  } else if (!f.weights.empty()) {
    info = weights_info_of(f.weights).encoder;
  } else {
    info.model = resnet_spec(f.untrained).name;
    info.image_size = f.image_size ? f.image_size : 224;
    info.stem = f.stem.empty() ? default_stem(info.image_size) : parse_stem(f.stem);
  }
  if (f.image_size) info.image_size = f.image_size;
  if (!f.pixels.empty()) info.pixels = pixel_statistics(f.pixels);
  if (!f.resize.empty()) info.resize = parse_resize(f.resize);
  if (!f.exif.empty()) info.exif = parse_exif(f.exif);
  return info;
}

// The threads that load images: the processes of a machine share its threads, unless a flag says how many each takes.
int workers_of_process(const Flags& f) {
  const std::int64_t workers = f.workers;
  if (workers != threads_of_machine()) return static_cast<int>(workers);
  return static_cast<int>(std::max<std::int64_t>(1, workers / processes_here()));
}

// The results are written by the first process alone. Before anything else is read it puts right what a killed process may
// have left, also in the run that the encoder is of; the others wait.
OutputFolder folder_of_probe(const Flags& f, const Communicator& processes) {
  if (!processes.is_first()) return OutputFolder();
  for (const std::string& given : {f.encoder, f.weights})
    if (!given.empty()) put_right_folder_of(given);
  return OutputFolder(f.out, FolderOf::probe, f.overwrite ? ExistingRun::overwrite : ExistingRun::refuse);
}

std::unique_ptr<FrozenEncoder> load_frozen_encoder(const Flags& flags, Device device, DType type) {
  auto frozen = std::make_unique<FrozenEncoder>();
  const EncoderInfo& info = frozen->info = encoder_info(flags);
  frozen->is_assumed = !flags.weights.empty() && weights_info_of(flags.weights).assumed;
  ParameterStore& store = frozen->store;
  frozen->encoder = std::make_unique<ResNet>(store, resnet_spec(info.model), info.stem);
  store.allocate(device, flags.probe.seed, type);
  if (!flags.encoder.empty()) load_encoder(flags.encoder, store);
  if (!flags.weights.empty()) load_frozen_weights(flags.weights, info, store);
  FeatureOptions& features = frozen->features;
  features.device = device;
  features.precision = type;
  features.prepare_as(info);
  features.workers = workers_of_process(flags);
  features.stop = [] {
    end_if_interrupted(probe_stopped);
    return false;
  };
  return frozen;
}

// What every process of a run has read for itself must be the same in all.
void check_processes_agree(const Communicator& processes, const Flags& f, const ParameterStore& encoder,
                           const ProbeImages& images) {
  if (processes.is_alone()) return;
  agree(processes, "settings",
        fmt::format("augment: {}\nimage_size: {}\npixels: {}\nresize: {}\nexif: {}\nprecision: {}\n{}",
                    f.augment, f.image_size, f.pixels, f.resize, f.exif, f.precision.value_or("default"),
                    f.probe.to_json().dump(1)));
  agree(processes, "encoder weights", encoder_checksum(encoder), "give the same file everywhere");
  agree(processes, "images", data_fingerprint(images.train) + "\n" + data_fingerprint(images.evaluation),
        "give the same data set everywhere");
}

// Nobody knows what another program's weights were trained on.
void warn_of_seen_images(const Flags& f, const FrozenEncoder& frozen, const Dataset& evaluation) {
  if (!f.untrained.empty() || frozen.is_assumed) return;
  if (const auto warning = seen_images_warning(frozen.info, evaluation); !warning.empty())
    fmt::print("{}\n", one_line(warning));
}

// result.json, but for what is known of the start and the processes.
nlohmann::json result_json(const Flags& f, const EncoderInfo& info, const ProbeImages& images,
                           const ProbeFeatures& features, const ProbeAccuracy& accuracy) {
  return {{"top1", accuracy.top1},
          {"top5", accuracy.top5},
          {"images", features.testing.rows()},
          {"evaluated_on", evaluated_on(images.evaluation, features.testing.rows())},
          {"classes", images.train.classes()},
          {"train_images", features.training.rows()},
          {"model", info.model},
          {"encoder", !f.encoder.empty()   ? f.encoder
                      : !f.weights.empty() ? f.weights
                                           : "untrained"},
          {"augment", f.augment},
          {"image_size", info.image_size},
          {"resize", name_of(resize_names, info.resize)},
          {"exif", name_of(exif_names, info.exif)},
          {"settings", f.probe.to_json()}};
}

void print_result(const Flags& f, const EncoderInfo& info, const ProbeImages& images,
                  const ProbeFeatures& features, const ProbeAccuracy& accuracy) {
  const fs::path out = f.out;
  results_follow();
  if (!features.bad.empty()) fmt::print("{}\n", bad_images_line(features.bad.size(), out / "bad_images.tsv"));
  print_evaluated_on(images.evaluation, features.testing.rows());
  fmt::print("linear probe of {}: top-1 {:.4f}, top-5 {:.4f} on {} of {}\n", info.model, accuracy.top1,
             accuracy.top5, counted(features.testing.rows(), "image"),
             counted(images.train.classes(), "class"));
  fmt::print("results: {}\n", (out / "result.json").string());
  if (f.untrained.empty())
    fmt::print("next: {} IMAGES {} {} --classifier {}\n", command_of_program("classify"),
               f.encoder.empty() ? "--weights" : "--encoder",
               shell_path(f.encoder.empty() ? f.weights : f.encoder),
               shell_path((out / classifier_name).string()));
}

int linear_probe(int argc, char** argv) {
  CommandLine line("Trains a linear classifier on a frozen encoder (stage two).", "linear_probe");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.processes.device = flags.device;
  check_flags(flags);
  if (const auto ended = start_processes(flags.processes)) return *ended;
  watch_for_interrupts();
  const DeviceChoice device = choose_device(flags.device);
  connect_devices(device);
  const Communicator& processes = world();
  const nlohmann::json facts = facts_of_start(line, device);
  const Precision precision = precision_for(flags.precision, device.device);
  report_device(device, precision);
  const KnownPlans known_plans(device, {.allow_tf32 = precision.tf32});

  std::optional<LongerLimit> patience(seconds_for_files);  // as in pretrain
  OutputFolder folder = folder_of_probe(flags, processes);
  processes.barrier();  // the others read what was put right
  if (!flags.encoder.empty()) flags.encoder = weights_file("--encoder", flags.encoder, flags.best).string();
  if (!flags.weights.empty()) flags.weights = weights_file("--weights", flags.weights, flags.best).string();
  const auto frozen = load_frozen_encoder(flags, device.device, precision.compute);
  flags.data.exif = frozen->info.exif;
  const ProbeImages images = open_probe_images(flags.data);
  check_processes_agree(processes, flags, frozen->store, images);
  patience.reset();
  warn_of_seen_images(flags, *frozen, images.evaluation);

  const ProbeFeatures features = probe_features(*frozen, images, flags.data.path);
  Probe probe(features.training, images.train.classes(), flags.probe);
  if (flags.augment == "none")
    probe.train_on_features(features.training);
  else
    probe.train_on_images(*frozen->encoder, images.train, frozen->features);
  const ProbeAccuracy accuracy = probe.evaluate(features.testing);
  if (!processes.is_first()) return 0;

  const fs::path out = flags.out;
  folder.take_over();  // only now: a probe that fails or is interrupted replaces nothing
  probe.save(out / classifier_name, images.train.class_names(), encoder_checksum(frozen->store),
             held_out_of(images.train));
  write_bad_images(out / "bad_images.tsv", features.bad);
  nlohmann::json result = result_json(flags, frozen->info, images, features, accuracy);
  if (!processes.is_alone()) result["processes"] = processes.size();
  result.update(facts);
  write_json(out / "result.json", result);
  folder.saved();
  print_result(flags, frozen->info, images, features, accuracy);
  return 0;
}

const Program linear_probe_program("linear_probe", "trains a linear classifier on a frozen encoder (stage two)",
                                   linear_probe);

}  // namespace
}  // namespace kindred
