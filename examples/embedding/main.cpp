// Uses features of images in your own program: which of these pictures are most similar?
//
//   embedding RUN/encoder.safetensors IMAGE...     an encoder from pretrain, or torchvision's weights
//   embedding                                      a demonstration: an untrained encoder, and drawn pictures
//
// Build it like examples/tiny_training.
#include <kindred/data/images/decode.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/l2_normalize/l2_normalize.h>
#include <kindred/models/weights_file.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <stdlib.h>  // defines: mkdtemp

using namespace kindred;
namespace fs = std::filesystem;

namespace {

// An encoder with everything that is needed to use it.
struct Encoder {
  explicit Encoder(const std::string& path) : info(read_weights_info(path).encoder) {
    network = std::make_unique<ResNet>(store, resnet_spec(info.model), info.stem);
    store.allocate(choose_device("auto").device, 0);
    load_weights(path, store);
  }

  // Unit rows [images, dim]: the dot product of two is the cosine of the angle between them.
  std::vector<float> embed(const std::vector<std::string>& paths) const {
    const int side = static_cast<int>(info.image_size);
    std::vector<std::uint8_t> pixels(paths.size() * std::size_t(side) * std::size_t(side) * 3);
    AugmentScratch scratch;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      const Decoded decoded = decode_file(paths[i]);
      check(decoded.outcome != Outcome::rejected, ExitCode::data, "{}: {}", paths[i], decoded.reason);
      RandomStream unused(0, Purpose::test);
      make_view(decoded.image, recipe("none", side), side, unused, &pixels[i * pixels.size() / paths.size()],
                scratch);
    }
    const NoGrad no_grad;
    const Tensor images = Tensor::from(pixels, {static_cast<std::int64_t>(paths.size()), side, side, 3},
                                       store.parameters().front().value.device());
    return l2_normalize((*network)(normalize_images(images, info.pixels, DType::f32), Mode::evaluate))
        .to_vector<float>();
  }

  EncoderInfo info;
  ParameterStore store;
  std::unique_ptr<ResNet> network;
};

// "class/picture.jpg"
std::string short_name(const fs::path& path) {
  return (path.parent_path().filename() / path.filename()).string();
}

int show_most_alike(const std::string& weights, const std::vector<std::string>& paths) {
  const Encoder encoder(weights);
  const std::vector<float> rows = encoder.embed(paths);
  const std::size_t count = paths.size(), dim = rows.size() / count;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t best = i;
    float nearest = -2;
    for (std::size_t j = 0; j < count; ++j) {
      float cosine = 0;
      for (std::size_t d = 0; d < dim; ++d) cosine += rows[i * dim + d] * rows[j * dim + d];
      if (j != i && cosine > nearest) nearest = cosine, best = j;
    }
    std::printf("%s: most like %s (cosine %.3f)\n", short_name(paths[i]).c_str(),
                short_name(paths[best]).c_str(), nearest);
  }
  return 0;
}

int demonstrate() {
  std::string folder = (fs::temp_directory_path() / "kindred-embedding-XXXXXX").string();
  if (mkdtemp(folder.data()) == nullptr) return 1;
  ToySetOptions drawing;
  drawing.classes = 2, drawing.per_class = 3, drawing.image_size = 32;
  make_toy_set(folder + "/set", drawing);
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder + "/set/train"))
    if (entry.is_regular_file()) paths.push_back(entry.path().string());

  ParameterStore store;
  const ResNet network(store, resnet_spec("resnet20"), Stem::cifar);
  store.allocate(Device::cpu, 1);
  save_encoder(folder + "/encoder.safetensors", store, {"resnet20", Stem::cifar, 32, cifar10_pixels}, 0);
  const int result = show_most_alike(folder + "/encoder.safetensors", paths);
  fs::remove_all(folder);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 1) return demonstrate();
    if (argc < 4) {
      std::fprintf(stderr, "usage: embedding ENCODER IMAGE IMAGE...\n");
      return 2;
    }
    return show_most_alike(argv[1], {argv + 2, argv + argc});
  } catch (const Error& error) {
    std::fprintf(stderr, "embedding: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
