#include <kindred/engine/files/json_text.h>
#include <kindred/models/file_order.h>
#include <kindred/models/weights_file.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace kindred {
namespace {

constexpr std::size_t most_names_listed = 4;
constexpr const char* counter = "num_batches_tracked";

bool is_counter(const std::string& name) {
  return name.ends_with(counter);
}

// "bn1.running_mean" -> "bn1.num_batches_tracked"; empty for other buffers.
std::string counter_name(const std::string& buffer) {
  constexpr std::string_view mean = "running_mean";
  return buffer.ends_with(mean) ? buffer.substr(0, buffer.size() - mean.size()) + counter : "";
}

// The shape that a tensor has in this file. Its elements have the order of the shape.
std::vector<std::int64_t> shape_in(const SafetensorsFile& file, const Shape& shape) {
  if (!is_checkpoint(file)) return file_shape(shape);
  std::vector<std::int64_t> extents;
  for (int axis = 0; axis < shape.rank(); ++axis) extents.push_back(shape[axis]);
  return extents;
}

// A checkpoint has no counters, because it counts the steps of the run.
std::int64_t steps_of_checkpoint(const SafetensorsFile& file) {
  const auto record = file.metadata().find("run");
  if (record == file.metadata().end()) return 0;
  const auto run = parse_hostile_json(record->second, {.values = most_record_values});
  if (!run.is_object() || !run.contains("steps_done") || !run["steps_done"].is_number_integer()) return 0;
  return run["steps_done"].get<std::int64_t>();
}

}  // namespace

std::string some_of(const std::vector<std::string>& names) {
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most_names_listed)));
  const std::size_t more = names.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, ", "), more ? fmt::format(" and {} more", more) : "");
}

WeightMatch match_weights(const SafetensorsFile& file, const ParameterStore& store) {
  NamedEntries entries = entries_by_own_name(file);
  WeightMatch match;
  const auto look_up = [&](const std::string& name, const Tensor& value) {
    const auto entry = entries.find(name);
    if (entry == entries.end()) {
      match.missing.push_back(name);
      return;
    }
    const std::vector<std::int64_t> expected = shape_in(file, value.shape());
    if (entry->second->shape == expected)
      match.found.push_back({name, entry->second, value});
    else if (name.starts_with("fc.")) {  // a classifier of another number of classes is another one
      match.missing.push_back(name);
      match.left_over.push_back(entry->second->name);
    } else
      match.reshaped.push_back(fmt::format("{} (is [{}], should be [{}])", entry->second->name,
                                           fmt::join(entry->second->shape, ", "), fmt::join(expected, ", ")));
    entries.erase(entry);
  };
  for (const Parameter& parameter : store.parameters()) look_up(parameter.name, parameter.value);
  for (const Buffer& buffer : store.buffers()) look_up(buffer.name, buffer.value);
  for (const auto& [name, entry] : entries)
    if (!is_counter(name)) match.left_over.push_back(entry->name);
  return match;
}

void set_weights(const SafetensorsFile& file, const std::vector<WeightMatch::Found>& found,
                 ParameterStore& store) {
  check(!file.has_checksum() || file.checksum_matches(), ExitCode::file,
        "{} is damaged: its checksum differs; take another copy", file.path());
  std::vector<std::vector<float>> values;  // all values are read before the first tensor is set
  for (const WeightMatch::Found& each : found) {
    values.push_back(file.read<float>(*each.entry));
    for (const float value : values.back())
      check(std::isfinite(value), ExitCode::file, "{}: {} has a value that is not finite", file.path(),
            each.entry->name);
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    Tensor value = found[i].value;
    if (is_checkpoint(file))
      value.copy_from(Tensor::from(values[i], value.shape(), value.device()));
    else
      from_file_order(values[i], value);
  }
  store.refresh_low_precision();
}

void add_weights(SafetensorsWriter& writer, const ParameterStore& store, WeightNames names,
                 std::int64_t batches_tracked, bool (*wanted)(const std::string&)) {
  for (const Parameter& parameter : store.parameters()) {
    if (!wanted(parameter.name)) continue;
    const Tensor value = parameter.value;
    writer.add(name_for_others(names, parameter.name), DType::f32, file_shape(parameter.shape),
               [value] { return Tensor::from(to_file_order<float>(value), {value.numel()}, Device::cpu); });
  }
  for (const Buffer& buffer : store.buffers()) {
    writer.add(name_for_others(names, buffer.name), buffer.value);
    if (const std::string name = counter_name(buffer.name); !name.empty())
      writer.add_i64(name_for_others(names, name), {}, {batches_tracked});
  }
}

void set_encoder_metadata(SafetensorsWriter& writer, const EncoderInfo& info) {
  writer.add_checksum();
  writer.set_metadata("format", "pt");  // tensors are in PyTorch's layout
  add_encoder_info(writer, info);
  writer.set_metadata("preparation", preparation_text(info.image_size, info.resize, info.exif));
}

namespace {

std::map<std::string, std::string> held_out_texts(const std::optional<HeldOutImages>& held_out) {
  if (!held_out) return {};
  if (held_out->fraction == 0) return {{"trained_on_all", held_out->all_of}};
  std::map<std::string, std::string> texts = {{"val_fraction", fmt::format("{}", held_out->fraction)},
                                              {"val_seed", std::to_string(held_out->seed)}};
  if (!held_out->before.empty()) texts["val_before"] = json_text(held_out->before);
  return texts;
}

// EncoderInfo::trained_before, in one text that earlier versions do not look for.
void add_trainings(SafetensorsWriter& writer, const std::vector<std::optional<HeldOutImages>>& trainings) {
  if (trainings.empty()) return;
  nlohmann::json list = nlohmann::json::array();
  for (const std::optional<HeldOutImages>& each : trainings) {
    nlohmann::json texts = nlohmann::json::object();
    for (const auto& [key, text] : held_out_texts(each)) texts[key] = text;
    list.push_back(std::move(texts));
  }
  writer.set_metadata("trained_before", json_text(list));
}

}  // namespace

void add_held_out(SafetensorsWriter& writer, const std::optional<HeldOutImages>& held_out) {
  for (const auto& [key, text] : held_out_texts(held_out)) writer.set_metadata(key, text);
}

void add_encoder_info(SafetensorsWriter& writer, const EncoderInfo& info) {
  writer.set_metadata("model", info.model);
  writer.set_metadata("stem", name(info.stem));
  writer.set_metadata("image_size", std::to_string(info.image_size));
  writer.set_metadata("pixel_mean", json_text(info.pixels.mean));
  writer.set_metadata("pixel_std", json_text(info.pixels.deviation));
  add_held_out(writer, info.held_out);
  add_trainings(writer, info.trained_before);
  if (info.resize != ResizeMode::crop) writer.set_metadata("resize", name_of(resize_names, info.resize));
  if (info.exif != ExifMode::ignore) writer.set_metadata("exif", name_of(exif_names, info.exif));
}

WeightsInfo read_weights_info(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  WeightsInfo info;
  if (file.metadata().contains("pixel_mean")) {
    info.encoder = read_encoder_info(path);
  } else {
    const ResNetKind kind = recognize_resnet(file);
    info.encoder.model = kind.model;
    info.encoder.stem = kind.stem;
    info.assumed = true;
    if (kind.stem == Stem::cifar) {
      info.encoder.image_size = 32;
      info.encoder.pixels = cifar10_pixels;
    }
  }
  if (is_checkpoint(file)) info.batches_tracked = steps_of_checkpoint(file);
  for (const SafetensorsEntry& entry : file.entries())
    if (own_name(entry.name) == std::string("bn1.") + counter && entry.shape.empty())
      info.batches_tracked = file.read<std::int64_t>(entry)[0];
  return info;
}

std::string WeightsReport::to_string() const {
  std::string text = fmt::format("weights: {} ({}): {} tensors loaded", file, kindred::describe(names), taken);
  text +=
      ignored.empty() ? ", none ignored" : fmt::format(", {} ignored: {}", ignored.size(), some_of(ignored));
  text += missing.empty() ? ", none missing"
                          : fmt::format(", {} missing and unchanged: {}", missing.size(), some_of(missing));
  return text;
}

WeightsReport load_weights(const std::filesystem::path& path, ParameterStore& store) {
  const SafetensorsFile file(path);
  const WeightMatch match = match_weights(file, store);
  check(match.reshaped.empty(), ExitCode::file, "{} does not fit the model; of another shape: {}", file.path(),
        some_of(match.reshaped));
  check(std::any_of(match.found.begin(), match.found.end(),
                    [](const WeightMatch::Found& each) { return belongs_to_encoder(each.name); }),
        ExitCode::file,
        "{} has no tensor of the model; expected torchvision's, timm's or SupContrast's names of a ResNet",
        file.path());
  set_weights(file, match.found, store);
  return {file.path(), names_used_in(file), match.found.size(), match.left_over, match.missing};
}

void save_weights(const std::filesystem::path& path, const ParameterStore& store, WeightNames names,
                  const EncoderInfo& info, std::int64_t batches_tracked,
                  const std::map<std::string, std::string>& more) {
  SafetensorsWriter writer;
  set_encoder_metadata(writer, info);
  for (const auto& [key, text] : more) writer.set_metadata(key, text);
  add_weights(writer, store, names, batches_tracked, [](const std::string&) { return true; });
  writer.write(path);
}

}  // namespace kindred
