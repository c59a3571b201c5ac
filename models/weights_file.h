// Imports and exports weights: safetensors with the names of torchvision (also timm's) or SupContrast.
// docs/weights.md says how to load them in other programs.
//
// Tensors of a file and of a store are matched by name; none is ever reshaped, cut or padded to fit.
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

// What is known about the encoder in any file of weights. Files that Kindred wrote contain all of it. For other
// files the model and the stem are recognized, and the rest is what such networks are usually trained with: 224
// pixels and ImageNet's statistics, or with the cifar stem 32 pixels and CIFAR-10's statistics.
struct WeightsInfo {
  EncoderInfo encoder;
  bool assumed = false;              // image size and pixel statistics are assumptions
  std::int64_t batches_tracked = 0;  // bn1.num_batches_tracked, or a checkpoint's steps; 0 if there is neither
};
WeightsInfo read_weights_info(const std::filesystem::path& path);  // throws Error(file)

// Which tensors of the file and of the store were used. Counters (num_batches_tracked) are not listed.
struct WeightsReport {
  std::string file;
  WeightNames names = WeightNames::torchvision;
  std::size_t taken = 0;
  std::vector<std::string> ignored;  // in the file but not in the store; the file's names
  std::vector<std::string> missing;  // in the store but not in the file, so left unchanged; our names

  std::string to_string() const;  // one line
};

// Sets every tensor of an allocated store that the file has: parameters and running statistics of the encoder,
// and of a head and a classifier if both store and file have them; a classifier of another number of classes is
// left out. Throws Error(file), which names the tensors, if shapes differ, if values are not finite, or if the
// file has no tensor of the encoder. The store is then unchanged. Types are converted (F16, BF16, F32, F64).
WeightsReport load_weights(const std::filesystem::path& path, ParameterStore& store);

// Writes every parameter, running statistic and counter of the store under these names. The metadata are the
// same as in an encoder file, so that Kindred can read the file, plus `more`. Throws Error(io).
void save_weights(const std::filesystem::path& path, const ParameterStore& store, WeightNames names,
                  const EncoderInfo& info, std::int64_t batches_tracked,
                  const std::map<std::string, std::string>& more = {});

// ---- parts that models/encoder_file.cpp also uses

struct WeightMatch {
  struct Found {
    std::string name;  // our own
    const SafetensorsEntry* entry;
    Tensor value;  // the tensor of the store
  };
  std::vector<Found> found;
  std::vector<std::string> missing;    // our names
  std::vector<std::string> reshaped;   // "conv1.weight (is [..], should be [..])", the file's names
  std::vector<std::string> left_over;  // the file's names, without counters
};
WeightMatch match_weights(const SafetensorsFile& file, const ParameterStore& store);

// Throws Error(file) if the file has a checksum that does not match, or if values are not finite. It checks
// before it sets anything.
void set_weights(const SafetensorsFile& file, const std::vector<WeightMatch::Found>& found,
                 ParameterStore& store);

void add_weights(SafetensorsWriter& writer, const ParameterStore& store, WeightNames names,
                 std::int64_t batches_tracked, bool (*wanted)(const std::string& own_name));
// The whole metadata of an encoder file. Also adds a checksum over the whole file.
void set_encoder_metadata(SafetensorsWriter& writer, const EncoderInfo& info);
// Only what read_encoder_info() reads.
void add_encoder_info(SafetensorsWriter& writer, const EncoderInfo& info);
// What parse_held_out() reads.
void add_held_out(SafetensorsWriter& writer, const std::optional<HeldOutImages>& held_out);

std::string some_of(const std::vector<std::string>& names);  // "a, b, c, d and 7 more"

}  // namespace kindred
