#include <kindred/engine/safetensors.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/file_order.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace kindred {
namespace {

constexpr std::size_t most_names_listed = 4;

bool belongs_to_encoder(const std::string& name) {
  return !name.starts_with("head") && !name.starts_with("fc");
}

// "bn1.running_mean" -> "bn1.num_batches_tracked"; empty for other buffers.
std::string counter_name(const std::string& buffer) {
  constexpr std::string_view mean = "running_mean";
  return buffer.ends_with(mean) ? buffer.substr(0, buffer.size() - mean.size()) + "num_batches_tracked" : "";
}

std::string some_of(const std::vector<std::string>& names) {
  const std::vector<std::string> shown(
      names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), most_names_listed)));
  const std::size_t more = names.size() - shown.size();
  return fmt::format("{}{}", fmt::join(shown, ", "), more ? fmt::format(" and {} more", more) : "");
}

const std::string& metadata_value(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  check(found != file.metadata().end(), ExitCode::file,
        "{} is no encoder of Kindred's: its metadata have no \"{}\"; give the encoder.safetensors of a "
        "pretrain run",
        file.path(), key);
  return found->second;
}

std::array<float, 3> three_numbers(const SafetensorsFile& file, const std::string& key, bool positive) {
  const auto value = nlohmann::json::parse(metadata_value(file, key), nullptr, false);
  bool good = value.is_array() && value.size() == 3;
  for (std::size_t i = 0; good && i < 3; ++i)
    good = value[i].is_number() && std::isfinite(value[i].get<float>()) &&
           (!positive || value[i].get<float>() > 0);
  check(good, ExitCode::file, "{}: the metadata's \"{}\" should be three{} numbers", file.path(), key,
        positive ? " positive" : "");
  return {value[0].get<float>(), value[1].get<float>(), value[2].get<float>()};
}

std::int64_t image_size_of(const SafetensorsFile& file) {
  const std::string& text = metadata_value(file, "image_size");
  std::int64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  check(error == std::errc() && end == text.data() + text.size() && size >= 8 && size <= 4096, ExitCode::file,
        "{}: the metadata's \"image_size\" should be a number from 8 to 4096", file.path());
  return size;
}

}  // namespace

void save_encoder(const std::filesystem::path& path, const ParameterStore& store, const EncoderInfo& info,
                  std::int64_t batches_tracked, FileOperations& files) {
  SafetensorsWriter writer;
  writer.set_metadata("format", "pt");  // tensors are in PyTorch's layout
  writer.set_metadata("model", info.model);
  writer.set_metadata("stem", name(info.stem));
  writer.set_metadata("image_size", std::to_string(info.image_size));
  writer.set_metadata("pixel_mean", nlohmann::json(info.pixels.mean).dump());
  writer.set_metadata("pixel_std", nlohmann::json(info.pixels.deviation).dump());
  for (const Parameter& parameter : store.parameters()) {
    if (!belongs_to_encoder(parameter.name)) continue;
    const Tensor value = parameter.value;
    writer.add(parameter.name, DType::f32, file_shape(parameter.shape),
               [value] { return Tensor::from(to_file_order<float>(value), {value.numel()}, Device::cpu); });
  }
  for (const Buffer& buffer : store.buffers()) {
    writer.add(buffer.name, buffer.value);
    if (const std::string counter = counter_name(buffer.name); !counter.empty())
      writer.add_i64(counter, {}, {batches_tracked});
  }
  writer.write(path, files);
}

EncoderInfo read_encoder_info(const std::filesystem::path& path) {
  const SafetensorsFile file(path);
  EncoderInfo info;
  info.model = metadata_value(file, "model");
  const auto names = resnet_names();
  check(std::find(names.begin(), names.end(), info.model) != names.end(), ExitCode::file,
        "{}: it says that it is a \"{}\", which Kindred does not know; it knows {}", file.path(), info.model,
        fmt::join(names, ", "));
  const std::string& stem = metadata_value(file, "stem");
  check(stem == "imagenet" || stem == "cifar", ExitCode::file,
        "{}: the metadata's \"stem\" should be imagenet or cifar, not {}", file.path(), stem);
  info.stem = parse_stem(stem);
  info.image_size = image_size_of(file);
  info.pixels = {three_numbers(file, "pixel_mean", false), three_numbers(file, "pixel_std", true)};
  return info;
}

void load_encoder(const std::filesystem::path& path, ParameterStore& store) {
  const SafetensorsFile file(path);
  std::vector<std::string> missing, reshaped, left_over;
  std::vector<std::pair<const SafetensorsEntry*, Tensor>> found;
  const auto match = [&](const std::string& name, const Tensor& value) {
    const SafetensorsEntry* entry = file.find(name);
    if (!entry)
      missing.push_back(name);
    else if (entry->shape != file_shape(value.shape()))
      reshaped.push_back(fmt::format("{} (is [{}], should be [{}])", name, fmt::join(entry->shape, ", "),
                                     fmt::join(file_shape(value.shape()), ", ")));
    else
      found.emplace_back(entry, value);
  };
  for (const Parameter& parameter : store.parameters())
    if (belongs_to_encoder(parameter.name)) match(parameter.name, parameter.value);
  for (const Buffer& buffer : store.buffers()) match(buffer.name, buffer.value);
  for (const SafetensorsEntry& entry : file.entries()) {
    const bool used = std::any_of(found.begin(), found.end(), [&](const auto& f) { return f.first == &entry; });
    const bool counted = !used && entry.name.ends_with("num_batches_tracked");
    const bool known = used || counted || !belongs_to_encoder(entry.name) ||
                       std::any_of(reshaped.begin(), reshaped.end(),
                                   [&](const std::string& r) { return r.starts_with(entry.name + " "); });
    if (!known) left_over.push_back(entry.name);
  }
  if (!missing.empty() || !reshaped.empty() || !left_over.empty()) {
    std::vector<std::string> complaints;
    if (!missing.empty()) complaints.push_back("missing: " + some_of(missing));
    if (!reshaped.empty()) complaints.push_back("of another shape: " + some_of(reshaped));
    if (!left_over.empty()) complaints.push_back("not part of the model: " + some_of(left_over));
    fail(ExitCode::file, "{} does not fit the model; {}", file.path(), fmt::join(complaints, "; "));
  }
  for (const auto& [entry, value] : found) {
    const std::vector<float> values = file.read<float>(*entry);
    for (const float v : values)
      check(std::isfinite(v), ExitCode::file, "{}: {} has a value that is not finite", file.path(),
            entry->name);
    from_file_order(values, value);
  }
  store.refresh_low_precision();
}

}  // namespace kindred
