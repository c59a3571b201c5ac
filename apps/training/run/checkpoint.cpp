#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace kindred {
namespace {

constexpr const char* kind_key = "kindred";
constexpr const char* run_key = "run";
// For the record of a run, which has about fifty values for each epoch.
constexpr std::size_t most_state_values = std::size_t{1} << 23;

// All live tensors of a run, with their names in the file.
Checkpoint::NamedTensors everything(const ParameterStore& store, const Checkpoint::NamedTensors& others) {
  Checkpoint::NamedTensors all = store.tensors();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

Tensor on_host(const Tensor& tensor) {
  return tensor.to(Device::cpu, tensor.dtype());
}

}  // namespace

void RunState::begin_epoch() {
  batches_done = skipped = 0;
  loss_sum = probe_loss_sum = seconds = step_seconds = wait_seconds = 0;
}

nlohmann::json RunState::to_json() const {
  return {{"epochs_done", epochs_done},
          {"batches_done", batches_done},
          {"steps_done", steps_done},
          {"skipped", skipped},
          {"loss_sum", loss_sum},
          {"probe_loss_sum", probe_loss_sum},
          {"seconds", seconds},
          {"step_seconds", step_seconds},
          {"wait_seconds", wait_seconds},
          {"best", best ? nlohmann::json(*best) : nlohmann::json()},
          {"metrics", metrics},
          {"features", features},
          {"data", data}};
}

RunState RunState::from_json(const nlohmann::json& value) {
  RunState run;
  value.at("epochs_done").get_to(run.epochs_done);
  value.at("batches_done").get_to(run.batches_done);
  value.at("steps_done").get_to(run.steps_done);
  value.at("skipped").get_to(run.skipped);
  value.at("loss_sum").get_to(run.loss_sum);
  run.probe_loss_sum = value.value("probe_loss_sum", 0.0);
  value.at("seconds").get_to(run.seconds);
  value.at("step_seconds").get_to(run.step_seconds);
  value.at("wait_seconds").get_to(run.wait_seconds);
  if (const auto& best = value.at("best"); !best.is_null()) run.best = best.get<double>();
  value.at("metrics").get_to(run.metrics);
  run.features = value.value("features", nlohmann::json());
  value.at("data").get_to(run.data);
  return run;
}

Checkpoint::Checkpoint(const ParameterStore& store, const NamedTensors& others, RunState run)
    : model_(std::make_shared<ParameterStore>()), run_(std::move(run)) {
  for (const auto& [name, tensor] : others) tensors_.emplace_back(name, on_host(tensor));
  for (const Parameter& parameter : store.parameters()) {
    Parameter& copy = model_->add(parameter.name, parameter.shape, parameter.kind, parameter.initialize);
    copy.value = on_host(parameter.value);
    tensors_.emplace_back(parameter.name, copy.value);
  }
  for (const Buffer& buffer : store.buffers()) {
    Buffer& copy = model_->add_buffer(buffer.name, buffer.shape, buffer.initial);
    copy.value = on_host(buffer.value);
    tensors_.emplace_back(buffer.name, copy.value);
  }
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : path_(path.string()) {
  const SafetensorsFile file(path);
  const auto kind = file.metadata().find(kind_key), run = file.metadata().find(run_key);
  check(kind != file.metadata().end() && kind->second == "checkpoint" && run != file.metadata().end(),
        ExitCode::file, "{} is not a checkpoint of this version of pretrain", path_);
  check(file.checksum_matches(), ExitCode::file, "{} is damaged: its checksum differs", path_);
  const auto state = parse_hostile_json(run->second, {.values = most_state_values});
  try {
    run_ = RunState::from_json(state);
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::file, "{}: its record of the run cannot be read", path_);
  }
  check(run_.epochs_done >= 0 && run_.batches_done >= 0 && run_.steps_done >= 0 &&
            run_.metrics.size() == static_cast<std::size_t>(run_.epochs_done),
        ExitCode::file, "{}: the position in the run makes no sense", path_);
  for (const SafetensorsEntry& entry : file.entries()) {
    check(entry.shape.size() <= Shape::max_rank &&
              (entry.dtype == "F32" || entry.dtype == "F64" || entry.dtype == "I32"),
          ExitCode::file, "{}: no checkpoint has a tensor like {}", path_, entry.name);
    const DType dtype = entry.dtype == "F64" ? DType::f64 : entry.dtype == "I32" ? DType::i32 : DType::f32;
    Tensor tensor = Tensor::empty(Shape(entry.shape), dtype, Device::cpu);
    file.read_into(entry, tensor);
    tensors_.emplace_back(entry.name, tensor);
  }
}

void Checkpoint::save(const std::filesystem::path& path, FileOperations& files) const {
  SafetensorsWriter writer;
  writer.add_checksum();
  writer.set_metadata(kind_key, "checkpoint");
  writer.set_metadata(run_key, json_text(run_.to_json()));
  for (const auto& [name, tensor] : tensors_) writer.add(name, tensor);
  writer.write(path, files);
}

void Checkpoint::restore(ParameterStore& store, const NamedTensors& others) const {
  std::vector<std::pair<Tensor, Tensor>> copies;  // from, to
  const auto live = everything(store, others);
  for (const auto& entry : live) {
    const auto found =
        std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.first == entry.first; });
    const auto& [name, target] = entry;
    check(found != tensors_.end(), ExitCode::file,
          "{} has no tensor called {}; resume with the settings that the run was started with", path_, name);
    check(found->second.shape() == target.shape() && found->second.dtype() == target.dtype(), ExitCode::file,
          "{}: {} is {} {}, the model's is {} {}; resume with the settings that the run was started with",
          path_, name, kindred::name(found->second.dtype()), found->second.shape().to_string(),
          kindred::name(target.dtype()), target.shape().to_string());
    copies.emplace_back(found->second, target);
  }
  check(tensors_.size() == live.size(), ExitCode::file,
        "{} holds {} tensors, the run has {}; resume with the settings that the run was "
        "started with",
        path_, tensors_.size(), live.size());
  for (auto& [from, to] : copies) to.copy_from(from);
  store.refresh_low_precision();
}

}  // namespace kindred
