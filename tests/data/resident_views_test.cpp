// Views made on a GPU or an emulated GPU, against the loader's views: drawn with the same numbers, with the
// same pixels within one level.
#include "../gpu.h"

#include <kindred/data/loading/resident_batches.h>
#include <kindred/engine/device_kernels.h>

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>

namespace kindred {
namespace {

// Pictures of noise, smooth enough to have colours. Each depends on its number.
class Noise : public SampleSource {
 public:
  Noise(int height, int width) : height_(height), width_(width) {}
  std::string name(std::int64_t i) const override { return std::to_string(i); }
  void load(std::int64_t i, Decoded& out) const override {
    out = Decoded{};
    out.outcome = i == spoilt ? Outcome::rejected : Outcome::ok;
    out.image = Image{};
    out.image.height = height_ + (i == odd ? 1 : 0);
    out.image.width = width_;
    out.picture_height = out.image.height;
    out.picture_width = width_;
    out.image.pixels.resize(static_cast<std::size_t>(out.image.height * width_ * 3));
    RandomStream random(71, Purpose::test, static_cast<std::uint32_t>(i));
    std::uint8_t level = 0;
    for (std::size_t at = 0; at < out.image.pixels.size(); ++at) {
      if (at % 5 == 0) level = static_cast<std::uint8_t>(random.below(256));
      out.image.pixels[at] = level;
    }
  }
  std::int64_t spoilt = -1, odd = -1;

 private:
  int height_, width_;
};

Dataset noise_set(std::shared_ptr<Noise> source) {
  std::vector<std::int32_t> labels;
  for (std::int32_t i = 0; i < 24; ++i) labels.push_back(i % 3);
  return Dataset({"a", "b", "c"}, labels, std::move(source), true);
}

LoaderOptions options_of(const std::string& recipe_name, int size) {
  LoaderOptions o;
  o.batch_size = 12;
  o.views = 2;
  o.size = size;
  o.recipe = recipe(recipe_name, size);
  o.workers = 0;
  o.seed = 9;
  return o;
}

struct Difference {
  std::int64_t values = 0, beyond_one = 0;
  int largest = 0;
};

// Compares the loader's batches with the kernel's over two epochs.
Difference compare(const Dataset& set, const LoaderOptions& options) {
  const auto pictures = resident_pictures(set, options, 1 << 20);
  REQUIRE(pictures.has_value());
  const Tensor on_gpu =
      Tensor::from(pictures->bytes, {set.size(), pictures->height, pictures->width, 3}, Device::cuda);
  Loader loader(set, options);
  ResidentBatches resident(set, options, pictures->height, pictures->width);
  CHECK(resident.batches_per_epoch() == loader.batches_per_epoch());
  Difference difference;
  for (std::uint32_t epoch = 0; epoch < 2; ++epoch) {
    loader.start_epoch(epoch);
    resident.start_epoch(epoch);
    Batch expected;
    ResidentBatch drawn;
    while (loader.next(expected)) {
      REQUIRE(resident.next(drawn));
      CHECK(drawn.labels == expected.labels);
      CHECK(drawn.indices == expected.indices);
      const Tensor views =
          Tensor::from(drawn.bytes(), {static_cast<std::int64_t>(drawn.bytes().size())}, Device::cuda);
      const Tensor out =
          Tensor::full({static_cast<std::int64_t>(drawn.views.size()), options.size, options.size, 3}, 77,
                       DType::u8, Device::cuda);
      resident_views_cuda->make(on_gpu, views, Output(out));
      const std::vector<std::uint8_t> made = out.to_vector<std::uint8_t>();
      REQUIRE(made.size() == expected.images.size());
      for (std::size_t i = 0; i < made.size(); ++i) {
        const int off = std::abs(int(made[i]) - int(expected.images[i]));
        ++difference.values;
        difference.beyond_one += off > 1;
        difference.largest = std::max(difference.largest, off);
      }
    }
    CHECK_FALSE(resident.next(drawn));
  }
  return difference;
}

TEST_CASE("resident views on a GPU: crops and flips are the loader's within one level" * test::needs_gpu) {
  for (const char* name : {"none", "probe"})
    for (const auto [height, width, size] :
         {std::array{32, 32, 32}, {28, 36, 24}, {48, 40, 20}, {17, 13, 33}}) {
      CAPTURE(name);
      CAPTURE(size);
      const Difference d = compare(noise_set(std::make_shared<Noise>(height, width)), options_of(name, size));
      CHECK(d.largest <= 1);
      CHECK(d.values > 0);
    }
}

TEST_CASE("resident views on a GPU: colours are the loader's" * test::needs_gpu) {
  for (const int size : {32, 24}) {
    const Difference d = compare(noise_set(std::make_shared<Noise>(32, 32)), options_of("cifar", size));
    // A difference of one level in the resize may become several in an operation that stretches, and any number
    // where the hue of a nearly gray pixel is rotated. This was seen in 2 to 3 values of ten thousand.
    CHECK(d.beyond_one * 1000 <= d.values);
  }
}

TEST_CASE("resident views: a sample that comes again is drawn anew, as the loader draws it" * test::needs_gpu) {
  LoaderOptions o = options_of("probe", 16);
  o.sampling = Sampling::inverse_frequency;
  CHECK(compare(noise_set(std::make_shared<Noise>(20, 20)), o).largest <= 1);
}

TEST_CASE("resident views: what does not fit is left to the loader") {
  const auto fits = [](int height, int width, const LoaderOptions& options, std::size_t bytes = 1 << 20,
                       std::int64_t spoilt = -1, std::int64_t odd = -1) {
    const auto source = std::make_shared<Noise>(height, width);
    source->spoilt = spoilt;
    source->odd = odd;
    return resident_pictures(noise_set(source), options, bytes).has_value();
  };
  CHECK(fits(32, 32, options_of("cifar", 32)));
  CHECK_FALSE(fits(32, 32, options_of("simaugment", 32)));  // blurs
  CHECK_FALSE(fits(32, 32, options_of("cifar", 65)));
  CHECK_FALSE(fits(32, 200, options_of("cifar", 32)));
  CHECK_FALSE(fits(32, 32, options_of("cifar", 32), 24 * 32 * 32 * 3 - 1));
  CHECK_FALSE(fits(32, 32, options_of("cifar", 32), 1 << 20, 5));
  LoaderOptions padded = options_of("none", 32);
  CHECK(fits(24, 32, padded));
  padded.recipe.resize = ResizeMode::pad;
  CHECK(fits(32, 32, padded));
  CHECK_FALSE(fits(24, 32, padded));  // the GPU does not fill what the picture leaves free
  CHECK_FALSE(fits(32, 32, options_of("cifar", 32), 1 << 20, -1, 7));
}

}  // namespace
}  // namespace kindred
