#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/training/run/shared/other_processes.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>

namespace kindred {
namespace {

// The processes of a run, by its config.json.
struct ProcessesThen {
  std::int64_t number = 1;
  bool on_gpus = false, sync_batch_norm = true;
};

template <typename T>
T value_or(const nlohmann::json& settings, const char* name, T otherwise) {
  const auto found = settings.find(name);
  const bool is_there = found != settings.end() && (std::is_same_v<T, bool> ? found->is_boolean()
                                                    : std::is_integral_v<T> ? found->is_number_integer()
                                                                            : found->is_string());
  return is_there ? found->get<T>() : otherwise;
}

// nullopt: a file that was written by hand, which no run has had.
std::optional<ProcessesThen> processes_then(const nlohmann::json& settings) {
  if (!settings.is_object() || !settings.contains("data_fingerprint")) return std::nullopt;
  ProcessesThen then;
  then.number = std::max<std::int64_t>(1, value_or<std::int64_t>(settings, "processes", 1));
  then.on_gpus = value_or<std::string>(settings, "device", "") == "cuda";
  then.sync_batch_norm = value_or<bool>(settings, "sync_batch_norm", true);
  return then;
}

// Over how many images a batch norm takes its statistics, if all processes share them.
std::int64_t images_of_batch_norm(const PretrainOptions& o, std::int64_t processes) {
  const bool by_parts = o.micro_batch > 0 && o.batch_norm_scope == BatchNormScope::micro;
  return by_parts ? std::min(o.micro_batch * processes, o.batch_size) : o.batch_size;
}

// Why the weights become others than those of then; "" if they are equal to rounding.
std::string why_others(const PretrainOptions& o, const ProcessesThen& then) {
  const bool have_own_statistics =
      (then.number > 1 && !then.sync_batch_norm) || (o.processes > 1 && !o.sync_batch_norm);
  if (have_own_statistics)
    return "with --sync-batch-norm off a batch norm's statistics are of the images of one process";
  const std::int64_t images_then = images_of_batch_norm(o, then.number),
                     images_now = images_of_batch_norm(o, o.processes);
  if (images_then == images_now) return "";
  return fmt::format("with --micro-batch {} a batch norm's statistics are of {} at a time, and were of {}",
                     o.micro_batch, counted(images_now, "image"), images_then);
}

std::string flag_for(const ProcessesThen& then) {
  if (then.number == 1) return "one process";
  return then.on_gpus ? fmt::format("--gpus {0} (or mpirun -n {0})", then.number)
                      : fmt::format("--processes {}", then.number);
}

}  // namespace

std::string replay_with_others(const PretrainOptions& o, const nlohmann::json& settings) {
  const std::optional<ProcessesThen> then = processes_then(settings);
  if (!then || then->number == o.processes) return "";
  const std::string why = why_others(o, *then);
  const bool has_same_bytes = !then->on_gpus || o.deterministic;
  const std::string numbers = fmt::format("the run of {} had {}, this one has {}", o.config,
                                          counted(then->number, "process"), o.processes);
  const std::string what =
      why.empty()
          ? fmt::format("with the same settings the batches are the same, and the weights equal to {}",
                        o.gradient_wire == DType::f32 ? "rounding" : "the rounding of gradients to bf16")
          : why + ", so the weights will be others";
  return fmt::format("{}{}\n", why.empty() ? "" : "warning: ",
                     one_line(fmt::format("{}: {}; {} {}", numbers, what, flag_for(*then),
                                          has_same_bytes ? "gives the same bytes" : "trains as that one did")));
}

std::string going_on_with_others(const PretrainOptions& o, const nlohmann::json& settings) {
  const std::optional<ProcessesThen> then = processes_then(settings);
  if (!then || then->number == o.processes) return "";
  const std::string why = why_others(o, *then);
  if (why.empty()) return "";
  return fmt::format(
      "warning: the run had {} so far, and goes on with {}: {}, so the weights will be others; {} goes on as "
      "before\n",
      counted(then->number, "process"), o.processes, why, flag_for(*then));
}

}  // namespace kindred
