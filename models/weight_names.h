// The names that other programs give to the weights of the same networks.
//
//   torchvision, timm   conv1.weight, layer1.0.downsample.0.weight, fc.weight: Kindred's own names too
//   SupContrast         encoder.conv1.weight, encoder.layer1.0.shortcut.0.weight, head.0.weight
//                       (github.com/HobbitLong/SupContrast; "module." in between comes from DataParallel)
#pragma once

#include <kindred/engine/safetensors.h>
#include <kindred/models/resnet.h>

#include <map>
#include <string>

namespace kindred {

enum class WeightNames : std::uint8_t { torchvision, supcontrast };

const char* describe(WeightNames names);  // "torchvision's names", "SupContrast's names"

bool belongs_to_encoder(const std::string& own_name);  // and not to a head ("head") or a classifier ("fc")

// "layer1.0.downsample.0.weight" -> what others call it.
std::string name_for_others(WeightNames names, const std::string& own_name);

// The other way, whoever's name it is; a name that nobody uses stays as it is.
std::string own_name(const std::string& name);

// The tensors of a file under Kindred's names. Error(file) when two have the same.
using NamedEntries = std::map<std::string, const SafetensorsEntry*>;
NamedEntries entries_by_own_name(const SafetensorsFile& file);
WeightNames names_used_in(const SafetensorsFile& file);

// Which ResNet these are the weights of, from names and shapes alone. Error(file) where it is none that
// Kindred knows.
struct ResNetKind {
  std::string model;
  Stem stem;
};
ResNetKind recognize_resnet(const SafetensorsFile& file);

}  // namespace kindred
