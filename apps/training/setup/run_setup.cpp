#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/messages/start_facts.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/dry_run/planned_steps.h>
#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/apps/training/run/start.h>
#include <kindred/apps/training/setup/run_setup.h>
#include <kindred/apps/training/training_data.h>
#include <kindred/apps/training/training_images.h>
#include <kindred/engine/communicator/communicator.h>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

DeviceChoice reported_device(const PretrainOptions& asked) {
  const DeviceChoice choice = choose_device(asked.device);
  connect_devices(choice);
  if (!world().is_alone()) {
    const std::string all = world().description();  // "2 processes over Open MPI 4.1.4"
    fmt::print("processes: {}{}, {} on this machine\n", world().size(),
               all.substr(std::min(all.find(" over "), all.size())), processes_here());
  }
  report_device(choice, asked.precision);
  return choice;
}

OutputFolder folder_of_run(const PretrainOptions& asked) {
  if (!world().is_first()) return OutputFolder();
  return OutputFolder(asked.out, FolderOf::run, existing_run(asked));
}

nlohmann::json settings_to_go_on_with(const PretrainOptions& asked) {
  return of_first(world(), [&] { return earlier_settings(asked); });
}

PlanRules rules_of(const PretrainOptions& asked) {
  return {.deterministic = asked.deterministic, .allow_tf32 = asked.precision.tf32};
}

}  // namespace

void dry_run(const PretrainFlags& flags, const PretrainOptions& asked) {
  results_follow();
  check_output_file("--prediction", asked.prediction, "prediction.json");
  const nlohmann::json earlier = settings_to_go_on_with(asked);
  if (!asked.gpu.empty()) {
    const Dataset train = open_training_images(as_begun(asked, earlier));
    predict(resolve_for(flags, asked, Device::cuda, train, earlier), train);
    return;
  }
  const DeviceChoice device = reported_device(asked);
  const KnownPlans known_plans(device, rules_of(asked));
  const Dataset train = open_training_images(as_begun(asked, earlier));
  const PretrainOptions options = resolve_for(flags, asked, device.device, train, earlier);
  if (options.processes > 1)
    fmt::print("one of {} processes, with {} of a batch's {} images\n", options.processes,
               options.batch_size / options.processes, options.batch_size);
  const PlannedProcesses processes(options.processes);
  const MemoryPrediction memory = predict_memory(options, device.device, train.classes());
  const MemoryOfPictures pictures = memory_of_pictures(train);
  const std::size_t others = other_memory(options, train, pictures.largest, memory.parameters) +
                             memory_of_kept_pictures(options, train, pictures);
  fmt::print("{}", describe(memory, others, device.device));
}

RunSetup::RunSetup(const CommandLine& line, const PretrainFlags& flags, const PretrainOptions& asked)
    : device(reported_device(asked)),
      facts(facts_of_start(line, device)),
      folder(folder_of_run(asked)),
      known_plans(device, rules_of(asked),
                  asked.resume ? std::filesystem::path(asked.out) / "plans.json" : std::filesystem::path()),
      earlier(settings_to_go_on_with(asked)),
      train(open_training_images(as_begun(asked, earlier))),
      options(resolve_for(flags, asked, device.device, train, earlier)),
      evaluation(open_evaluation_images(options, train)) {
  options.picture_cache = check_memory(options, device.device, train, processes_here());
}

void RunSetup::explain(const OutOfMemory& error) const {
  explain_out_of_memory(error, options, device.device, train, processes_here());
}

}  // namespace kindred
