// A trained encoder for your own program: pictures become features.
//
//   const Encoder encoder = Encoder::open("RUN/encoder.safetensors");
//   const Tensor features = encoder.features("cat.jpg");  // [1, dim]
//
// Pictures are prepared as the encoder's file says, exactly as the program `embed` does it. Features are f32, on the
// host, and not normalised (layers/l2_normalize/l2_normalize.h does that).
#pragma once

#include <kindred/engine/tensor.h>
#include <kindred/models/encoder_file.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kindred {

struct EncoderOptions {
  std::string device = "auto";  // as choose_device() takes it: auto, cpu, cuda, reference
  int batch_size = 128;         // images that are in memory at a time, 1 or more
  int workers = 1;              // threads that load images; 0: the calling thread does
};

struct UnreadableImage {
  std::string path;
  std::string reason;
};

struct ImageFeatures {
  std::vector<std::string> names;           // [n]: the paths of the images, in the order of the rows
  Tensor features;                          // [n, dim]
  std::vector<UnreadableImage> unreadable;  // these have no row
};

class Encoder {
 public:
  // `path` is the encoder.safetensors of a run, the folder of a run, a checkpoint, or a .safetensors file of weights
  // with torchvision's, timm's or SupContrast's names; what such a file does not say is assumed (WeightsInfo in
  // models/weights_file.h). On a GPU it computes in bf16, elsewhere in f32. Throws Error(file) if the file cannot be
  // read, lacks a part of the encoder, or is a checkpoint of an earlier version; Error(device) and Error(usage).
  static Encoder open(const std::filesystem::path& path, const EncoderOptions& options = {});

  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;
  ~Encoder();

  // One image -> [1, dim]. Throws Error(data) if it cannot be read.
  Tensor features(const std::filesystem::path& image) const;
  // Several, in the given order.
  ImageFeatures features_of_files(const std::vector<std::string>& paths) const;
  // All images below a folder, at any depth, sorted by the bytes of their folders and names. Throws Error(data) if
  // there are none.
  ImageFeatures features_of_folder(const std::filesystem::path& folder) const;

  std::int64_t dim() const;
  Device device() const;
  const EncoderInfo& info() const;  // the model, and how images are prepared

 private:
  struct Loaded;
  explicit Encoder(std::unique_ptr<const Loaded> loaded);

  std::unique_ptr<const Loaded> loaded_;
};

}  // namespace kindred
