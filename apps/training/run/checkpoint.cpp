#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/weights_file.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

namespace kindred {
namespace {

constexpr const char* run_key = "run";
constexpr std::int64_t most_steps = 1'000'000'000'000'000;  // no run has that many of anything

// All live tensors of a run, with their names in the file.
Checkpoint::NamedTensors everything(const ParameterStore& store, const Checkpoint::NamedTensors& others) {
  Checkpoint::NamedTensors all = store.tensors();
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

Tensor on_host(const Tensor& tensor) {
  return tensor.to(Device::cpu, tensor.dtype());
}

// At the end of an epoch an earlier version says by its figures whether that one is the best.
std::int64_t best_step_of_earlier_version(const RunState& run) {
  if (!run.best || run.batches_done != 0 || run.metrics.empty() || !run.metrics.back().is_object()) return -1;
  const nlohmann::json& epoch = run.metrics.back();
  const auto is_best = [&](const char* key, double sign) {
    const auto value = epoch.find(key);
    return value != epoch.end() && value->is_number() && sign * value->get<double>() == *run.best;
  };
  return is_best("knn_top1", 1) || is_best("loss", -1) ? run.steps_done : -1;
}

bool is_kind_of_figure(const std::string& text) {
  return text == "classifier" || text == "neighbours" || text == "loss";
}

// An earlier version does not say by which kind of figure it chose the best epoch. The epoch's line has the same value.
std::string best_by_of_earlier_version(const RunState& run) {
  if (!run.best) return "";
  const auto any_line = [&](const char* key, double sign) {
    return std::any_of(run.metrics.begin(), run.metrics.end(), [&](const nlohmann::json& line) {
      if (!line.is_object()) return false;
      const auto value = line.find(key);
      return value != line.end() && value->is_number() && sign * value->get<double>() == *run.best;
    });
  };
  if (any_line("classifier_top1", 1)) return "classifier";
  if (any_line("knn_top1", 1)) return "neighbours";
  if (any_line("loss", -1)) return "loss";
  // Of a run that has not measured yet.
  return !run.metrics.empty() && run.metrics.back().is_object() &&
                 run.metrics.back().contains("classifier_top1")
             ? "classifier"
             : "neighbours";
}

const std::string& run_record_in(const SafetensorsFile& file) {
  const auto run = file.metadata().find(run_key);
  check(is_checkpoint(file) && run != file.metadata().end(), ExitCode::file,
        "{} is not a checkpoint of this version of pretrain", file.path());
  return run->second;
}

RunState parse_run_state(const std::string& text, const std::string& path) {
  const auto state = parse_hostile_json(text, {.values = most_record_values});
  RunState run;
  try {
    run = RunState::from_json(state);
  } catch (const nlohmann::json::exception&) {
    fail(ExitCode::file, "{}: its record of the run cannot be read", path);
  }
  const std::initializer_list<std::int64_t> counts = {
      run.epochs_done,      run.batches_done,        run.steps_done,  run.skipped,
      run.skipped_in_a_row, run.epochs_since_better, run.stale_epochs};
  const bool are_counts =
      std::all_of(counts.begin(), counts.end(), [](std::int64_t n) { return n >= 0 && n <= most_steps; });
  check(are_counts && run.metrics.size() == static_cast<std::size_t>(run.epochs_done), ExitCode::file,
        "{}: the position in the run makes no sense", path);
  return run;
}

}  // namespace

bool RunState::is_improved_by(double figure, double loss) const {
  if (!best || figure != *best) return !best || figure > *best;
  return !best_loss || loss <= *best_loss;
}

void RunState::forget_best() {
  best.reset();
  best_loss.reset();
  best_by.clear();
  best_on.clear();
  best_step = -1;
}

void RunState::begin_epoch() {
  batches_done = skipped = 0;
  features = nullptr;
  loss_sum = probe_loss_sum = seconds = step_seconds = wait_seconds = 0;
}

nlohmann::json RunState::to_json() const {
  return {{"epochs_done", epochs_done},
          {"batches_done", batches_done},
          {"steps_done", steps_done},
          {"skipped", skipped},
          {"skipped_in_a_row", skipped_in_a_row},
          {"loss_sum", loss_sum},
          {"probe_loss_sum", probe_loss_sum},
          {"seconds", seconds},
          {"step_seconds", step_seconds},
          {"wait_seconds", wait_seconds},
          {"best", best ? nlohmann::json(*best) : nlohmann::json()},
          {"best_by", best_by},
          {"best_on", best_on},
          {"best_loss", best_loss ? nlohmann::json(*best_loss) : nlohmann::json()},
          {"best_step", best_step},
          {"untrained", untrained ? nlohmann::json(*untrained) : nlohmann::json()},
          {"epochs_since_better", epochs_since_better},
          {"stale_epochs", stale_epochs},
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
  run.skipped_in_a_row = value.value("skipped_in_a_row", std::int64_t{0});
  value.at("loss_sum").get_to(run.loss_sum);
  run.probe_loss_sum = value.value("probe_loss_sum", 0.0);
  value.at("seconds").get_to(run.seconds);
  value.at("step_seconds").get_to(run.step_seconds);
  value.at("wait_seconds").get_to(run.wait_seconds);
  if (const auto& best = value.at("best"); !best.is_null()) run.best = best.get<double>();
  if (const auto loss = value.find("best_loss"); loss != value.end() && !loss->is_null())
    run.best_loss = loss->get<double>();
  if (const auto untrained = value.find("untrained"); untrained != value.end() && !untrained->is_null())
    run.untrained = untrained->get<double>();
  value.at("metrics").get_to(run.metrics);
  run.features = value.value("features", nlohmann::json());
  value.at("data").get_to(run.data);
  run.epochs_since_better = value.value("epochs_since_better", std::int64_t{0});
  run.stale_epochs = value.value("stale_epochs", std::int64_t{0});
  run.best_step = value.value("best_step", best_step_of_earlier_version(run));
  run.best_by = value.value("best_by", std::string());
  run.best_on = value.value("best_on", std::string());
  if (!is_kind_of_figure(run.best_by)) run.best_by = best_by_of_earlier_version(run);
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
  const std::string& text = run_record_in(file);
  check(file.checksum_matches(), ExitCode::file, "{} is damaged: its checksum differs", path_);
  run_ = parse_run_state(text, path_);
  trained_before_ = parse_trained_before(path_, file.metadata());
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

RunState read_run_state(const std::filesystem::path& checkpoint) {
  const SafetensorsFile file(checkpoint);
  return parse_run_state(run_record_in(file), file.path());
}

void Checkpoint::save(const std::filesystem::path& path, FileOperations& files) const {
  SafetensorsWriter writer;
  writer.add_checksum();
  mark_as_checkpoint(writer);
  if (encoder_info_) add_encoder_info(writer, *encoder_info_);
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
