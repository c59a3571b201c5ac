// The names that other programs use for the weights of the same networks.
//
//   torchvision, timm   conv1.weight, layer1.0.downsample.0.weight, fc.weight; these are also Kindred's names
//   SupContrast         encoder.conv1.weight, encoder.layer1.0.shortcut.0.weight, head.0.weight
//                       (github.com/HobbitLong/SupContrast; "module." in between comes from DataParallel)
#pragma once

#include <kindred/engine/files/safetensors.h>
#include <kindred/models/resnet.h>

#include <map>
#include <string>

namespace kindred {

enum class WeightNames : std::uint8_t { torchvision, supcontrast };

// A checkpoint of pretrain holds tensors as they are in memory, so its filters are [out, kh, kw, in], and beside
// the model everything else that learns. Its metadata say so.
bool is_checkpoint(const SafetensorsFile& file);
void mark_as_checkpoint(SafetensorsWriter& writer);
// Values in its record of the run (JSON), which has about fifty for each epoch.
inline constexpr std::size_t most_record_values = std::size_t{1} << 23;

const char* describe(WeightNames names);  // "torchvision's names", "SupContrast's names"

bool belongs_to_encoder(const std::string& own_name);  // false for a head ("head") or classifier ("fc")

// "layer1.0.downsample.0.weight" -> the name that others use.
std::string name_for_others(WeightNames names, const std::string& own_name);

// The other direction, for the names of any of these programs. An unknown name is returned unchanged.
std::string own_name(const std::string& name);

// The tensors of a file under Kindred's names. Throws Error(file) if two have the same name.
using NamedEntries = std::map<std::string, const SafetensorsEntry*>;
NamedEntries entries_by_own_name(const SafetensorsFile& file);
WeightNames names_used_in(const SafetensorsFile& file);

// Recognizes the ResNet that these weights belong to, from names and shapes alone. Throws Error(file) if
// Kindred does not know it.
struct ResNetKind {
  std::string model;
  Stem stem;
};
ResNetKind recognize_resnet(const SafetensorsFile& file);

}  // namespace kindred
