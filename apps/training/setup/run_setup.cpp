#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/setup/run_setup.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/apps/training/training_images.h>

#include <fmt/core.h>

#include <filesystem>

namespace kindred {
namespace {

DeviceChoice reported_device(const PretrainOptions& asked) {
  const DeviceChoice choice = choose_device(asked.device);
  report_device(choice, asked.precision);
  return choice;
}

PlanRules rules_of(const PretrainOptions& asked) {
  return {.deterministic = asked.deterministic, .allow_tf32 = asked.precision.tf32};
}

}  // namespace

void dry_run(const PretrainFlags& flags, const PretrainOptions& asked) {
  results_follow();
  check_no_file_of_run("--prediction", asked.prediction);
  const nlohmann::json earlier = earlier_settings(asked);
  if (!asked.gpu.empty()) {
    const Dataset train = open_training_images(as_begun(asked, earlier));
    predict(resolve_for(flags, asked, Device::cuda, train, earlier), train);
    return;
  }
  const DeviceChoice device = reported_device(asked);
  const KnownPlans known_plans(device, rules_of(asked));
  const Dataset train = open_training_images(as_begun(asked, earlier));
  const PretrainOptions options = resolve_for(flags, asked, device.device, train, earlier);
  const MemoryPrediction memory = predict_memory(options, device.device, train.classes());
  const MemoryOfPictures pictures = memory_of_pictures(train);
  const std::size_t others = other_memory(options, train, pictures.largest, memory.parameters) +
                             memory_of_kept_pictures(options, train, pictures);
  fmt::print("{}", describe(memory, others, device.device));
}

RunSetup::RunSetup(const CommandLine& line, const PretrainFlags& flags, const PretrainOptions& asked)
    : device(reported_device(asked)),
      facts(facts_of_start(line, device)),
      folder(asked.out, FolderOf::run, existing_run(asked)),
      known_plans(device, rules_of(asked),
                  asked.resume ? std::filesystem::path(asked.out) / "plans.json" : std::filesystem::path()),
      earlier(earlier_settings(asked)),
      train(open_training_images(as_begun(asked, earlier))),
      options(resolve_for(flags, asked, device.device, train, earlier)),
      evaluation(open_evaluation_images(options, train)) {
  options.picture_cache = check_memory(options, device.device, train);
}

void RunSetup::explain(const OutOfMemory& error) const {
  explain_out_of_memory(error, options, device.device, train);
}

}  // namespace kindred
