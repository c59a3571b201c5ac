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
#include <optional>
#include <thread>

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

// What every process of a run has read for itself must be the same in all.
void check_processes_agree(const Communicator& processes, const Flags& f, const ParameterStore& encoder,
                           const Dataset& train, const Dataset& evaluation) {
  if (processes.is_alone()) return;
  agree(processes, "versions", build_in_words());
  agree(processes, "settings",
        fmt::format("augment: {}\nimage_size: {}\npixels: {}\nresize: {}\nexif: {}\nprecision: {}\n{}",
                    f.augment, f.image_size, f.pixels, f.resize, f.exif, f.precision.value_or("default"),
                    f.probe.to_json().dump(1)));
  agree(processes, "encoder weights", encoder_checksum(encoder), "give the same file everywhere");
  agree(processes, "images", data_fingerprint(train) + "\n" + data_fingerprint(evaluation),
        "give the same data set everywhere");
}

// The processes of a machine share its threads, unless a flag says how many each takes.
int workers_of_process(const Flags& f) {
  const std::int64_t workers = f.workers;
  if (workers != threads_of_machine()) return static_cast<int>(workers);
  return static_cast<int>(std::max<std::int64_t>(1, workers / processes_here()));
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

  // First of all that is read, because a killed process may have left something to put right, also in the run
  // that the encoder is of.
  std::optional<LongerLimit> patience(seconds_for_files);  // as in pretrain
  std::optional<OutputFolder> folder;
  if (processes.is_first()) {
    for (const std::string& given : {flags.encoder, flags.weights})
      if (!given.empty()) put_right_folder_of(given);
    folder.emplace(flags.out, FolderOf::probe, flags.overwrite ? ExistingRun::overwrite : ExistingRun::refuse);
  }
  if (!processes.is_alone()) processes.barrier();  // the others read what was put right

  if (!flags.encoder.empty()) flags.encoder = weights_file("--encoder", flags.encoder, flags.best).string();
  if (!flags.weights.empty()) flags.weights = weights_file("--weights", flags.weights, flags.best).string();
  const EncoderInfo info = encoder_info(flags);
  flags.data.exif = info.exif;
  ParameterStore store;
  const ResNet encoder(store, resnet_spec(info.model), info.stem);
  store.allocate(device.device, flags.probe.seed, precision.compute);
  if (!flags.encoder.empty()) load_encoder(flags.encoder, store);
  if (!flags.weights.empty()) load_frozen_weights(flags.weights, info, store);

  const Dataset train = *flags.data.open(Split::train);
  print_notes(train);
  const auto evaluation = flags.data.open(Split::evaluation);
  check(evaluation.has_value(), ExitCode::data,
        "{} has no val or test images that can be used: a probe needs some to be measured on; {}",
        flags.data.path, no_evaluation_advice);
  print_notes(*evaluation, &train);
  check_processes_agree(processes, flags, store, train, *evaluation);
  patience.reset();
  // Nobody knows what another program's weights were trained on.
  const bool is_known =
      !flags.encoder.empty() || (!flags.weights.empty() && !weights_info_of(flags.weights).assumed);
  if (is_known)
    if (const auto warning = seen_images_warning(info, *evaluation); !warning.empty())
      fmt::print("{}\n", one_line(warning));

  FeatureOptions features;
  features.device = device.device;
  features.precision = precision.compute;
  features.prepare_as(info);
  features.workers = workers_of_process(flags);
  features.stop = [] {
    end_if_interrupted(probe_stopped);
    return false;
  };
  std::vector<BadImage> bad, bad_evaluation;
  features.what = "training features";
  const FeatureTable training = extract_features(encoder, train, features, &bad);
  features.what = "evaluation features";
  const FeatureTable testing = extract_features(encoder, *evaluation, features, &bad_evaluation);
  bad.insert(bad.end(), bad_evaluation.begin(), bad_evaluation.end());
  check(training.rows() > 0 && testing.rows() > 0, ExitCode::data, "{}: not one image could be read",
        flags.data.path);

  for (const FeatureTable* table : {&training, &testing}) check_finite_features(table->features);

  Probe probe(training, train.classes(), flags.probe);
  if (flags.augment == "none")
    probe.train_on_features(training);
  else
    probe.train_on_images(encoder, train, features);
  const ProbeAccuracy accuracy = probe.evaluate(testing);
  if (!processes.is_first()) return 0;

  const fs::path out = flags.out;
  folder->take_over();  // only now: a probe that fails or is interrupted replaces nothing
  probe.save(out / classifier_name, train.class_names(), encoder_checksum(store), held_out_of(train));
  write_bad_images(out / "bad_images.tsv", bad);
  nlohmann::json result = {{"top1", accuracy.top1},
                           {"top5", accuracy.top5},
                           {"images", testing.rows()},
                           {"evaluated_on", evaluated_on(*evaluation, testing.rows())},
                           {"classes", train.classes()},
                           {"train_images", training.rows()},
                           {"model", info.model},
                           {"encoder", !flags.encoder.empty()   ? flags.encoder
                                       : !flags.weights.empty() ? flags.weights
                                                                : "untrained"},
                           {"augment", flags.augment},
                           {"image_size", info.image_size},
                           {"resize", name_of(resize_names, info.resize)},
                           {"exif", name_of(exif_names, info.exif)},
                           {"settings", flags.probe.to_json()}};
  if (!processes.is_alone()) result["processes"] = processes.size();
  result.update(facts);
  write_json(out / "result.json", result);
  folder->saved();
  results_follow();
  if (!bad.empty()) fmt::print("{}\n", bad_images_line(bad.size(), out / "bad_images.tsv"));
  print_evaluated_on(*evaluation, testing.rows());
  fmt::print("linear probe of {}: top-1 {:.4f}, top-5 {:.4f} on {} of {}\n", info.model, accuracy.top1,
             accuracy.top5, counted(testing.rows(), "image"), counted(train.classes(), "class"));
  fmt::print("results: {}\n", (out / "result.json").string());
  if (flags.untrained.empty())
    fmt::print("next: {} IMAGES {} {} --classifier {}\n", command_of_program("classify"),
               flags.encoder.empty() ? "--weights" : "--encoder",
               shell_path(flags.encoder.empty() ? flags.weights : flags.encoder),
               shell_path((out / classifier_name).string()));
  return 0;
}

const Program linear_probe_program("linear_probe", "trains a linear classifier on a frozen encoder (stage two)",
                                   linear_probe);

}  // namespace
}  // namespace kindred
