// Which sizes are advised where a run does not fit, and how much its pictures take, by hand.
#include "../../../errors.h"
#include "../small_options.h"

#include <kindred/apps/training/dry_run/fitting_sizes.h>
#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/apps/training/training_data.h>

#include <doctest/doctest.h>

#include <memory>
#include <string>

namespace kindred {
namespace {

constexpr std::size_t mebibyte = 1048576;

// Runs that take 10 for each image that goes through the network at once, and 100 for each worker.
FitsIntoMemory fits_into_units(std::int64_t units) {
  return [units](const PretrainOptions& o) {
    return 10 * (o.micro_batch > 0 ? o.micro_batch : o.batch_size) + 100 * o.workers <= units;
  };
}

bool never(const PretrainOptions&) {
  return false;
}
bool always(const PretrainOptions&) {
  return true;
}

std::string advice_within(std::int64_t units) {
  PretrainOptions o = small_options(32, 64);
  o.workers = 8;
  return advice_about_sizes(o, fits_into_units(units), always, {});
}

TEST_CASE("fitting sizes: one change that is enough, and fewer workers are one") {
  CHECK(advice_within(1000) == "--workers 3, --batch-size 16 or --micro-batch 16 should fit");
  CHECK(advice_within(700) == "--workers 0 should fit");
  CHECK(advice_within(1440) == "--workers 7, --batch-size 56 or --micro-batch 32 should fit");
}

TEST_CASE("fitting sizes: two changes, where none alone is enough") {
  CHECK(advice_within(300) == "--workers 0 with --batch-size 24 or --micro-batch 16 should fit");
}

TEST_CASE("fitting sizes: what is needed if nothing fits") {
  PretrainOptions o = small_options(32, 64);
  o.workers = 8;
  const PictureMemory largest{.height = 3000, .width = 4000, .pixels = 36'000'000, .decoder = 36'003'000};
  CHECK(advice_about_sizes(o, never, always, largest) ==
        "not even --workers 0 and a batch of 2 fit, because loading the largest picture (4000 x 3000 pixels) "
        "takes "
        "68.7 MiB: smaller copies of the largest pictures are needed");
  CHECK(advice_about_sizes(o, never, never, largest) ==
        "not even a batch of 2 fits with resnet20 at 32 pixels: a smaller --image-size or --model is needed");
}

TEST_CASE("fitting sizes: no batch size is advised if memory ran out while pictures were loaded") {
  CHECK(advice_about_loading(8) == "use --workers 4, so that fewer pictures are decoded at once");
  CHECK(advice_about_loading(3) == "use --workers 1, so that fewer pictures are decoded at once");
  CHECK(advice_about_loading(1) ==
        "use --workers 0; if that is not enough, use smaller copies of the largest pictures, or a smaller "
        "--batch-size");
  CHECK(advice_about_loading(0) == "use smaller copies of the largest pictures, or a smaller --batch-size");
}

class NoPictures : public SampleSource {
 public:
  std::string name(std::int64_t i) const override { return std::to_string(i); }
};

TEST_CASE("fitting sizes: a run that ended while pictures were loaded") {
  PretrainOptions o = small_options(32, 64);
  o.workers = 4;
  const Dataset set({"a"}, {0, 0}, std::make_shared<NoPictures>(), false);
  const OutOfMemory error("it is full", Cause::out_of_memory_loading);
  const auto explain = [&] { explain_out_of_memory(error, o, Device::cpu, set); };
  CHECK(test::error_of(explain) == "it is full; use --workers 2, so that fewer pictures are decoded at once");
  CHECK(test::code_of(explain) == ExitCode::device);
}

TEST_CASE("memory of pictures: each worker decodes one, and twice as many while neighbours are measured") {
  PretrainOptions o = small_options(32, 8);
  o.knn_every = 0;
  PictureMemory largest{.file = 100, .pixels = 1000, .decoder = 2000};
  o.workers = 4;
  CHECK(memory_of_decoding(o, largest) == 12'400u);
  o.workers = 0;
  CHECK(memory_of_decoding(o, largest) == 3'100u);
  o.knn_every = 1;
  CHECK(memory_of_decoding(o, largest) == 6'200u);
  o.workers = 4;
  CHECK(memory_of_decoding(o, largest) == 24'800u);
  largest.decoder = 200 * mebibyte;  // of which 128 MiB at most are kept
  CHECK(memory_of_decoding(o, largest) == 4 * (2200 + 328 * mebibyte));
}

TEST_CASE("memory of pictures: what is kept decoded is less where memory is short") {
  const Dataset set({"a"}, {0, 0}, std::make_shared<NoPictures>(), false);
  PretrainOptions o = small_options(32, 8);
  MemoryOfPictures pictures;
  pictures.all_pixels = 600 * mebibyte;
  CHECK(memory_of_kept_pictures(o, set, pictures) == 512 * mebibyte);
  o.picture_cache = 1000;
  CHECK(memory_of_kept_pictures(o, set, pictures) == 1000u);
  CHECK(training_loader(o).cache_bytes == 1000u);
  pictures.all_pixels = 999;
  CHECK(memory_of_kept_pictures(o, set, pictures) == 999u);
  const Dataset in_memory({"a"}, {0, 0}, std::make_shared<NoPictures>(), true);
  CHECK(memory_of_kept_pictures(o, in_memory, pictures) == 0u);

  CHECK(picture_cache_within(512, 600) == 512u);
  CHECK(picture_cache_within(512, 512) == 512u);
  CHECK(picture_cache_within(512, 511) == 255u);
  CHECK(picture_cache_within(512, 0) == 0u);
}

}  // namespace
}  // namespace kindred
