// Uses features of images in your own program: which of these pictures are most similar?
//
//   embedding RUN/encoder.safetensors IMAGE...     an encoder from pretrain, or torchvision's weights
//   embedding                                      a demonstration: an untrained encoder, and drawn pictures
//
// Build it like examples/tiny_training.
#include <kindred/kindred.h>

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <stdlib.h>  // defines: mkdtemp

using namespace kindred;
namespace fs = std::filesystem;

namespace {

// "class/picture.jpg"
std::string short_name(const fs::path& path) {
  return (path.parent_path().filename() / path.filename()).string();
}

void show_most_alike(const ImageFeatures& images) {
  for (const UnreadableImage& image : images.unreadable)
    std::printf("%s: %s\n", image.path.c_str(), image.reason.c_str());
  if (images.names.size() < 2) return;
  // Of unit rows the product is the cosine of the angle between them.
  const std::vector<float> rows = l2_normalize(images.features).to_vector<float>();
  const std::size_t count = images.names.size(), dim = rows.size() / count;
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t best = i;
    float nearest = -2;
    for (std::size_t j = 0; j < count; ++j) {
      float cosine = 0;
      for (std::size_t d = 0; d < dim; ++d) cosine += rows[i * dim + d] * rows[j * dim + d];
      if (j == i || cosine <= nearest) continue;
      nearest = cosine;
      best = j;
    }
    std::printf("%s: most like %s (cosine %.3f)\n", short_name(images.names[i]).c_str(),
                short_name(images.names[best]).c_str(), nearest);
  }
}

// A picture of `color` with stripes of this width, as a PPM file.
void draw_stripes(const fs::path& path, int width, const std::string& color) {
  constexpr int side = 32;
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << side << ' ' << side << "\n255\n";
  for (int pixel = 0; pixel < side * side; ++pixel)
    file << (pixel % side / width % 2 == 0 ? color : std::string("\xff\xff\xff"));
}

void demonstrate() {
  std::string name = (fs::temp_directory_path() / "kindred-embedding-XXXXXX").string();
  check(mkdtemp(name.data()) != nullptr, ExitCode::io, "{}: cannot be made", name);
  const fs::path folder = name;
  for (const int width : {2, 3, 8}) {
    draw_stripes(folder / ("red-" + std::to_string(width) + ".ppm"), width, "\xc0\x20\x20");
    draw_stripes(folder / ("blue-" + std::to_string(width) + ".ppm"), width, "\x20\x20\xc0");
  }
  ParameterStore store;
  const ResNet network(store, resnet_spec("resnet20"), Stem::cifar);
  store.allocate(Device::cpu, 1);
  EncoderInfo info;
  info.model = "resnet20";
  info.stem = Stem::cifar;
  info.image_size = 32;
  info.pixels = cifar10_pixels;
  save_encoder(folder / "encoder.safetensors", store, info, 0);

  const Encoder encoder = Encoder::open(folder / "encoder.safetensors");
  show_most_alike(encoder.features_of_folder(folder));
  fs::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc == 1) {
      demonstrate();
    } else if (argc < 4) {
      std::fprintf(stderr, "usage: embedding ENCODER IMAGE IMAGE...\n");
      return 2;
    } else {
      const Encoder encoder = Encoder::open(argv[1]);
      show_most_alike(encoder.features_of_files({argv + 2, argv + argc}));
    }
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "embedding: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
