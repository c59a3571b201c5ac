#include <kindred/models/weight_names.h>

#include <fmt/ranges.h>  // defines: fmt::join

namespace kindred {
namespace {

constexpr std::string_view encoder_prefix = "encoder.";
constexpr const char *kind_key = "kindred", *checkpoint_kind = "checkpoint";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
    text.replace(at, from.size(), to);
}

bool has(const NamedEntries& entries, const std::string& name) {
  return entries.contains(name);
}

}  // namespace

bool is_checkpoint(const SafetensorsFile& file) {
  const auto kind = file.metadata().find(kind_key);
  return kind != file.metadata().end() && kind->second == checkpoint_kind;
}

void mark_as_checkpoint(SafetensorsWriter& writer) {
  writer.set_metadata(kind_key, checkpoint_kind);
}

const char* describe(WeightNames names) {
  return names == WeightNames::supcontrast ? "SupContrast's names" : "torchvision's names";
}

bool belongs_to_encoder(const std::string& name) {
  return !name.starts_with("head.") && !name.starts_with("fc.");
}

std::string name_for_others(WeightNames names, const std::string& own) {
  if (names == WeightNames::torchvision || !belongs_to_encoder(own)) return own;
  std::string name = own;
  replace_all(name, ".downsample.", ".shortcut.");
  return std::string(encoder_prefix) + name;
}

std::string own_name(const std::string& other) {
  std::string name = "." + other;
  replace_all(name, ".module.", ".");
  name.erase(0, 1);
  if (name.starts_with(encoder_prefix)) name.erase(0, encoder_prefix.size());
  replace_all(name, ".shortcut.", ".downsample.");
  return name;
}

NamedEntries entries_by_own_name(const SafetensorsFile& file) {
  NamedEntries entries;
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto [place, is_new] = entries.emplace(own_name(entry.name), &entry);
    check(is_new, ExitCode::file, "{}: {} and {} are names of the same weights", file.path(),
          place->second->name, entry.name);
  }
  return entries;
}

WeightNames names_used_in(const SafetensorsFile& file) {
  if (is_checkpoint(file))
    return WeightNames::torchvision;  // "momentum_encoder.conv1.weight" is no name of others
  for (const SafetensorsEntry& entry : file.entries())
    if (entry.name.find(encoder_prefix) != entry.name.npos) return WeightNames::supcontrast;
  return WeightNames::torchvision;
}

ResNetKind recognize_resnet(const SafetensorsFile& file) {
  const NamedEntries entries = entries_by_own_name(file);
  const auto stem = entries.find("conv1.weight");
  check(stem != entries.end() && stem->second->shape.size() == 4, ExitCode::file,
        "{} holds no ResNet: it has no filters called conv1.weight", file.path());
  std::vector<int> depths;
  for (int stage = 1; has(entries, fmt::format("layer{}.0.conv1.weight", stage)); ++stage) {
    int blocks = 0;
    while (has(entries, fmt::format("layer{}.{}.conv1.weight", stage, blocks))) ++blocks;
    depths.push_back(blocks);
  }
  const bool bottleneck = has(entries, "layer1.0.conv3.weight");
  const std::vector<std::int64_t>& filters = stem->second->shape;  // [out, in, kh, kw]
  const std::size_t kh = is_checkpoint(file) ? 1 : 2;              // or [out, kh, kw, in]
  for (const std::string& model : resnet_names()) {
    const ResNetSpec& spec = resnet_spec(model);
    if (spec.depths != depths || spec.bottleneck != bottleneck || spec.width != filters[0]) continue;
    check(filters[kh] == filters[kh + 1] && (filters[kh] == 7 || filters[kh] == 3), ExitCode::file,
          "{}: its conv1 has filters of {}x{} pixels; Kindred knows 7x7 (stem imagenet) and 3x3 (stem cifar)",
          file.path(), filters[kh], filters[kh + 1]);
    return {model, filters[kh] == 7 ? Stem::imagenet : Stem::cifar};
  }
  fail(ExitCode::file,
       "{} holds a network of stages with {} {} blocks that begins with {} channels; Kindred knows {}",
       file.path(), fmt::join(depths, ", "), bottleneck ? "bottleneck" : "basic", filters[0],
       fmt::join(resnet_names(), ", "));
}

}  // namespace kindred
