// Encoders in files: safetensors with torchvision's names and layout, and everything needed to use them again.
//
// A file holds the encoder's parameters, running statistics and num_batches_tracked counters, and nothing of
// the head. The metadata give the model, its stem, and the image size and pixel statistics that it was trained
// with. The file holds no time, path or run name, so the same training gives the same bytes.
#pragma once

#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/parameters.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/resnet.h>

#include <filesystem>

namespace kindred {

struct EncoderInfo {
  std::string model;
  Stem stem = Stem::imagenet;
  std::int64_t image_size = 224;
  PixelStatistics pixels = imagenet_pixels;
};

// Writes the encoder's part of `store`: everything whose name does not begin with "head." or "fc.". Throws
// Error(io).
void save_encoder(const std::filesystem::path& path, const ParameterStore& store, const EncoderInfo& info,
                  std::int64_t batches_tracked, FileOperations& files = system_files());

// Throws Error(file) if it is not an encoder that Kindred wrote.
EncoderInfo read_encoder_info(const std::filesystem::path& path);

// Sets the encoder's part of an allocated store. Throws Error(file), which lists tensors that are missing,
// superfluous or of another shape.
void load_encoder(const std::filesystem::path& path, ParameterStore& store);

}  // namespace kindred
