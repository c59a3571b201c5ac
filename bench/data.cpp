// Kindred's side of bench/data.py: images to normalised views. Makes one repeat for every line on standard
// input and answers with its milliseconds.
//
//   bench_data --work WORK --data DIR [--images N] [--workers W]
//
//   crop        decode, one random resized crop of 224, flip, normalise: the loader
//
//   bare        the same arithmetic in a plain loop over libjpeg-turbo that decodes whole pictures
//
//   bare_part   the same loop, with libjpeg-turbo's decoding of a part
//
//   sim         decode, two SimAugment views of 224, normalise
//
//   cifar       two `cifar` views of 32, from pictures in memory, normalise
//
//   decode      whole pictures, nothing else
//
//   pictures    whole pictures of any format, by Kindred's decoder (bench/png.py)
//
//   read        the encoded bytes of every image, with their checksums if DIR is a pack
//
//   page_cache  the file DIR itself, read(2) into one buffer: the limit for reading
#include <fmt/core.h>
#include <kindred/apps/console/command_line.h>
#include <kindred/data/files/file.h>
#include <kindred/data/images/decode.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/sets/subset.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/error.h>

#include <chrono>
#include <cstdio>  // jpeglib.h needs FILE
#include <iostream>

#include <jpeglib.h>

using namespace kindred;

namespace {

constexpr std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, deviation{0.229f, 0.224f, 0.225f};

// [pixels, 3] bytes -> floats, like the network's input layer.
void normalise(const std::uint8_t* in, std::size_t pixels, float* out) {
  std::array<float, 3> scale{}, bias{};
  for (std::size_t c = 0; c < 3; ++c) {
    scale[c] = 1.0f / (255.0f * deviation[c]);
    bias[c] = -mean[c] / deviation[c];
  }
  for (std::size_t i = 0; i < pixels; ++i)
    for (std::size_t c = 0; c < 3; ++c) out[3 * i + c] = float(in[3 * i + c]) * scale[c] + bias[c];
}

struct Settings {
  std::string work, data;
  std::int64_t images = 200;
  int workers = 0;
};

class Work {
 public:
  virtual ~Work() = default;
  virtual void repeat() = 0;
};

class LoaderWork : public Work {
 public:
  LoaderWork(const Dataset& dataset, const Settings& s) : loader_(dataset, options(dataset, s)) {}

  void repeat() override {
    loader_.start_epoch(epoch_++);
    while (loader_.next(batch_)) {
      values_.resize(batch_.images.size());
      normalise(batch_.images.data(), batch_.images.size() / 3, values_.data());
    }
    check(loader_.bad_images().empty(), ExitCode::data, "an image could not be decoded");
  }

 private:
  static LoaderOptions options(const Dataset& dataset, const Settings& s) {
    LoaderOptions o;
    o.size = s.work == "cifar" ? 32 : 224;
    o.recipe = recipe(s.work == "cifar" ? "cifar" : s.work == "sim" ? "simaugment" : "probe", o.size);
    o.views = s.work == "crop" ? 1 : 2;
    o.batch_size = std::min<std::int64_t>(dataset.size(), s.work == "cifar" ? 256 : 16);
    o.drop_last = false;
    o.workers = s.workers;
    o.cache_bytes = s.work == "cifar" ? std::size_t{1} << 30 : 0;
    return o;
  }

  Loader loader_;
  Batch batch_;
  std::vector<float> values_;
  std::uint32_t epoch_ = 0;
};

// No threads, no checks, no choice of formats, as in a very short program. Exits on a bad file.
class BareWork : public Work {
 public:
  BareWork(const Dataset& dataset, bool part, bool views)
      : dataset_(dataset), part_(part), views_(views), recipe_(recipe("probe", 224)) {
    view_.resize(224 * 224 * 3);
    values_.resize(view_.size());
  }

  void repeat() override {
    for (std::int64_t i = 0; i < dataset_.size(); ++i) {
      const auto file = dataset_.source().encoded(i, bytes_);
      RandomStream random(1, Purpose::augment, epoch_, static_cast<std::uint32_t>(i));
      decode(file->bytes, random);
      if (!views_) continue;
      apply_view(image_, parameters_, 224, view_.data(), scratch_);
      normalise(view_.data(), view_.size() / 3, values_.data());
    }
    ++epoch_;
  }

 private:
  void decode(std::span<const std::uint8_t> bytes, RandomStream& random) {
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    info.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_read_header(&info, TRUE);
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    const int height = static_cast<int>(info.output_height), width = static_cast<int>(info.output_width);
    parameters_ = draw_view(height, width, recipe_, 224, random);
    JDIMENSION left = 0, columns = info.output_width;
    int rows = height;
    if (part_) {
      left = static_cast<JDIMENSION>(parameters_.crop.left);
      columns = static_cast<JDIMENSION>(parameters_.crop.width);
      rows = parameters_.crop.height;
      jpeg_crop_scanline(&info, &left, &columns);
      if (parameters_.crop.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(parameters_.crop.top));
      parameters_.crop.top = 0;
      parameters_.crop.left -= static_cast<int>(left);
    }
    image_.resize(rows, static_cast<int>(columns));
    for (int y = 0; y < rows; ++y) {
      JSAMPROW row = image_.pixel(y, 0);
      jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_abort_decompress(&info);
    jpeg_destroy_decompress(&info);
  }

  Dataset dataset_;
  bool part_, views_;
  Recipe recipe_;
  std::vector<std::uint8_t> bytes_, view_;
  std::vector<float> values_;
  Image image_;
  ViewParameters parameters_;
  AugmentScratch scratch_;
  std::uint32_t epoch_ = 0;
};

// Nothing but Kindred's decoder.
class PicturesWork : public Work {
 public:
  explicit PicturesWork(Dataset dataset) : dataset_(std::move(dataset)) {}
  void repeat() override {
    for (std::int64_t i = 0; i < dataset_.size(); ++i) {
      const auto file = dataset_.source().encoded(i, bytes_);
      decoder_.open(file->bytes);
      decoder_.decode_whole(decoded_);
      check(decoded_.outcome == Outcome::ok, ExitCode::data, "{}: {}", dataset_.name(i), decoded_.reason);
    }
  }

 private:
  Dataset dataset_;
  std::vector<std::uint8_t> bytes_;
  Decoder decoder_;
  Decoded decoded_;
};

// No picture is decoded.
class ReadWork : public Work {
 public:
  explicit ReadWork(Dataset dataset) : dataset_(std::move(dataset)) {}
  void repeat() override {
    for (std::int64_t i = 0; i < dataset_.size(); ++i)
      check(dataset_.source().encoded(i, bytes_)->ok(), ExitCode::data, "{} cannot be read", dataset_.name(i));
  }

 private:
  Dataset dataset_;
  std::vector<std::uint8_t> bytes_;
};

class PageCacheWork : public Work {
 public:
  explicit PageCacheWork(const std::string& path) : file_(std::fopen(path.c_str(), "rb")) {
    check(file_ != nullptr, ExitCode::data, "{} cannot be opened", path);
    std::setvbuf(file_, nullptr, _IONBF, 0);
  }
  ~PageCacheWork() override { std::fclose(file_); }
  void repeat() override {
    std::rewind(file_);
    while (std::fread(bytes_.data(), 1, bytes_.size(), file_) == bytes_.size()) {
    }
  }

 private:
  std::FILE* file_;
  std::vector<std::uint8_t> bytes_ = std::vector<std::uint8_t>(std::size_t{1} << 18);  // fits into the cache
};

std::unique_ptr<Work> make_work(const Settings& s) {
  if (s.work == "page_cache") return std::make_unique<PageCacheWork>(s.data);
  const Dataset all = *open_dataset(s.data, Split::train);
  if (s.work == "read") return std::make_unique<ReadWork>(all);
  const Dataset dataset = evenly_spread(all, s.images);
  if (s.work == "bare" || s.work == "bare_part")
    return std::make_unique<BareWork>(dataset, s.work != "bare", true);
  if (s.work == "pictures") return std::make_unique<PicturesWork>(dataset);
  if (s.work == "decode") return std::make_unique<BareWork>(dataset, false, false);
  return std::make_unique<LoaderWork>(dataset, s);
}

}  // namespace

int main(int argc, char** argv) {
  CommandLine command("One side of bench/data.py.", "bench_data");
  Settings settings;
  command.add("--work", settings.work)
      .required()
      .one_of({"crop", "bare", "bare_part", "sim", "cifar", "decode", "pictures", "read", "page_cache"});
  command.add("--data", settings.data).required();
  command.add("--images", settings.images);
  command.add("--workers", settings.workers);
  command.parse(argc, argv);
  try {
    const std::unique_ptr<Work> work = make_work(settings);
    for (std::string line; std::getline(std::cin, line);) {
      const auto start = std::chrono::steady_clock::now();
      work->repeat();
      fmt::print("{:.3f}\n",
                 std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
      std::fflush(stdout);
    }
  } catch (const Error& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
