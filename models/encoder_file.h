// Encoders in files: safetensors with torchvision's names and layout, and what is needed to use them again.
//
// A file holds the encoder's parameters, running statistics and num_batches_tracked counters, and nothing of
// the head. The metadata say which model it is, its stem, and the image size and pixel statistics that it was
// trained with. It holds no time, path or run name: the same training gives the same bytes.
#pragma once

#include <kindred/engine/atomic_file.h>
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

// Writes the encoder's part of `store`: everything whose name does not begin with "head." or "fc.". Error(io).
void save_encoder(const std::filesystem::path& path, const ParameterStore& store, const EncoderInfo& info,
                  std::int64_t batches_tracked, FileOperations& files = system_files());

// Error(file) when it is no encoder that Kindred wrote.
EncoderInfo read_encoder_info(const std::filesystem::path& path);

// Sets the encoder's part of an allocated store. Error(file) that says which tensors are missing, which are
// left over and which have another shape.
void load_encoder(const std::filesystem::path& path, ParameterStore& store);

}  // namespace kindred
