#include <kindred/apps/common/checkpoint.h>
#include <kindred/engine/safetensors.h>

#include <utility>
#include <vector>

namespace kindred {
namespace {

constexpr const char* position_entry = "run.position";  // I64 [2]: epochs, steps

std::vector<std::pair<std::string, Tensor>> everything(const ParameterStore& store,
                                                       const Optimizer& optimizer) {
  std::vector<std::pair<std::string, Tensor>> tensors = optimizer.state();
  for (const Parameter& parameter : store.parameters()) tensors.emplace_back(parameter.name, parameter.value);
  for (const Buffer& buffer : store.buffers()) tensors.emplace_back(buffer.name, buffer.value);
  return tensors;
}

std::vector<std::int64_t> extents(const Shape& shape) {
  std::vector<std::int64_t> result;
  for (int axis = 0; axis < shape.rank(); ++axis) result.push_back(shape[axis]);
  return result;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const ParameterStore& store, const Optimizer& optimizer,
                     const RunPosition& position) {
  SafetensorsWriter writer;
  writer.set_metadata("kindred", "checkpoint");
  for (const auto& [name, tensor] : everything(store, optimizer)) writer.add(name, tensor);
  writer.add_i64(position_entry, {2}, {position.epochs_done, position.steps_done});
  writer.write(path);
}

RunPosition load_checkpoint(const std::filesystem::path& path, ParameterStore& store, Optimizer& optimizer) {
  const SafetensorsFile file(path);
  auto tensors = everything(store, optimizer);
  for (const auto& [name, tensor] : tensors)
    check(
        file.at(name).shape == extents(tensor.shape()), ExitCode::file,
        "{}: {} has another shape than the model's {}; resume with the settings that the run was started with",
        file.path(), name, tensor.shape().to_string());
  check(file.entries().size() == tensors.size() + 1, ExitCode::file,
        "{} holds {} tensors, the model and optimizer have {}; resume with the settings that the run was "
        "started with",
        file.path(), file.entries().size(), tensors.size() + 1);
  const auto position = file.read<std::int64_t>(file.at(position_entry));
  check(position.size() == 2 && position[0] >= 0 && position[1] >= 0, ExitCode::file,
        "{}: the position in the run makes no sense", file.path());
  for (auto& [name, tensor] : tensors) file.read_into(file.at(name), tensor);
  store.refresh_low_precision();
  return {position[0], position[1]};
}

}  // namespace kindred
