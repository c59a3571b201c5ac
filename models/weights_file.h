// Weights that came from elsewhere, and weights that go elsewhere: safetensors under torchvision's (and timm's)
// or SupContrast's names. docs/weights.md says how to load them there.
//
// A file is matched with a store by name; nothing is ever reshaped, cut or padded to fit.
#pragma once

#include <kindred/engine/parameters.h>
#include <kindred/models/encoder_file.h>
#include <kindred/models/weight_names.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// What is known of the encoder in any file of weights. Files that Kindred wrote say all of it; of others the
// model and the stem are recognized, and the rest is what such networks are usually trained with: 224 pixels
// and ImageNet's statistics, or with the cifar stem 32 pixels and CIFAR-10's.
struct WeightsInfo {
  EncoderInfo encoder;
  bool assumed = false;              // image size and pixel statistics are assumptions
  std::int64_t batches_tracked = 0;  // bn1.num_batches_tracked, 0 where there is none
};
WeightsInfo read_weights_info(const std::filesystem::path& path);  // Error(file)

// What became of the tensors of a file, and of those of the store. Counters (num_batches_tracked) are not
// listed.
struct WeightsReport {
  std::string file;
  WeightNames names = WeightNames::torchvision;
  std::size_t taken = 0;
  std::vector<std::string> ignored;  // in the file, not in the store: its names
  std::vector<std::string> missing;  // in the store, not in the file, and so left as they were: our names

  std::string to_string() const;  // one line
};

// Sets every tensor of an allocated store that the file has: parameters and running statistics, of the encoder
// and where the store and the file have them, of a head and a classifier. Error(file) that names them when
// shapes differ, when values are not finite, or when not one tensor of the encoder is there; the store is then
// as it was. Types are converted (F16, BF16, F32, F64).
WeightsReport load_weights(const std::filesystem::path& path, ParameterStore& store);

// Writes every parameter, running statistic and counter of the store under these names. The metadata are those
// of an encoder file, so that Kindred can read it back, and `more`. Error(io).
void save_weights(const std::filesystem::path& path, const ParameterStore& store, WeightNames names,
                  const EncoderInfo& info, std::int64_t batches_tracked,
                  const std::map<std::string, std::string>& more = {});

// ---- what the above and models/encoder_file.cpp are made of

struct WeightMatch {
  struct Found {
    std::string name;  // our own
    const SafetensorsEntry* entry;
    Tensor value;  // of the store
  };
  std::vector<Found> found;
  std::vector<std::string> missing;    // our names
  std::vector<std::string> reshaped;   // "conv1.weight (is [..], should be [..])", the file's names
  std::vector<std::string> left_over;  // the file's names; counters are not among them
};
WeightMatch match_weights(const SafetensorsFile& file, const ParameterStore& store);

// Error(file) for a file that is damaged, where it has a checksum, and for values that are not finite; before
// anything is set.
void set_weights(const SafetensorsFile& file, const std::vector<WeightMatch::Found>& found,
                 ParameterStore& store);

void add_weights(SafetensorsWriter& writer, const ParameterStore& store, WeightNames names,
                 std::int64_t batches_tracked, bool (*wanted)(const std::string& own_name));
// And a checksum over the whole file.
void set_encoder_metadata(SafetensorsWriter& writer, const EncoderInfo& info);

std::string some_of(const std::vector<std::string>& names);  // "a, b, c, d and 7 more"

}  // namespace kindred
