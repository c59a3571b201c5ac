// Encoders in files: safetensors with torchvision's names and layout, and everything needed to use them again.
//
// A file holds the encoder's parameters, running statistics and num_batches_tracked counters, and nothing of
// the head. The metadata give the model, its stem, and the image size and pixel statistics that it was trained
// with; "preparation" says in words how images become what the network takes. The file holds no time, path or
// run name, so the same training gives the same bytes.
#pragma once

#include <kindred/engine/parameters.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/layers/image_input/preparation.h>
#include <kindred/models/resnet.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {

class FileOperations;  // engine/files/atomic_file.h
FileOperations& system_files();

// Images of the training set that an encoder has not seen: DatasetOptions::val_fraction and val_seed of its run.
struct HeldOutImages {
  double fraction = 0;  // 0: it has seen all images of a set that has none for evaluation, those of `all_of`
  std::uint64_t seed = 0;
  // What had been held out before, one after the other: the training images of a pack may be a part themselves.
  std::vector<std::pair<double, std::uint64_t>> before{};
  std::string all_of{};  // if nothing was held out: data_fingerprint() of the images, which evaluation compares
  bool operator==(const HeldOutImages&) const = default;
};

struct EncoderInfo {
  std::string model;
  Stem stem = Stem::imagenet;
  std::int64_t image_size = 224;
  PixelStatistics pixels = imagenet_pixels;
  std::optional<HeldOutImages> held_out{};  // empty: not known; also if the set has images for evaluation
  // How images are prepared. Files of earlier versions do not say it; those encoders were made with the first of each.
  ResizeMode resize = ResizeMode::crop;
  ExifMode exif = ExifMode::ignore;
  // `held_out` of the encoders that it began with, each once: it has seen what they have seen. The oldest is the first.
  std::vector<std::optional<HeldOutImages>> trained_before{};
};

// Writes the encoder's part of `store`: everything whose name does not begin with "head." or "fc.". Throws
// Error(io).
void save_encoder(const std::filesystem::path& path, const ParameterStore& store, const EncoderInfo& info,
                  std::int64_t batches_tracked, FileOperations& files = system_files());

// Throws Error(file) if it is neither an encoder that Kindred wrote nor a checkpoint of pretrain.
EncoderInfo read_encoder_info(const std::filesystem::path& path);
// The same from texts by name, which are those of the metadata. Errors name `path`.
EncoderInfo parse_encoder_info(const std::string& path, const std::map<std::string, std::string>& metadata);
// What such texts say about held-out images: "val_fraction", "val_seed", and for those before "val_before", a list of
// such pairs; or "trained_on_all", HeldOutImages::all_of. Empty if they do not. Throws Error(file).
std::optional<HeldOutImages> parse_held_out(const std::string& path,
                                            const std::map<std::string, std::string>& metadata);
// EncoderInfo::trained_before: "trained_before", a list of objects that each have such texts. Throws Error(file).
std::vector<std::optional<HeldOutImages>> parse_trained_before(
    const std::string& path, const std::map<std::string, std::string>& metadata);
// EncoderInfo::trained_before of an encoder that begins with the one of `info`.
std::vector<std::optional<HeldOutImages>> trainings_up_to(const EncoderInfo& info);

// Sets the encoder's part of an allocated store, also from a checkpoint of pretrain. Throws Error(file), which
// lists tensors that are missing, superfluous or of another shape.
void load_encoder(const std::filesystem::path& path, ParameterStore& store);

}  // namespace kindred
