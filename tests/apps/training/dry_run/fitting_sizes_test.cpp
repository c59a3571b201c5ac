// Which sizes are advised where a run does not fit, and how much its pictures take, by hand.
#include "../../../errors.h"
#include "../small_options.h"

#include <kindred/apps/console/advice.h>
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
  return advice_about_sizes(o, {.fits = fits_into_units(units), .fits_without_pictures = always});
}

TEST_CASE("fitting sizes: one change that is enough, and fewer workers are one") {
  CHECK(advice_within(1000) == "--workers 3, --batch-size 16 or --micro-batch 16 should fit");
  CHECK(advice_within(700) == "--workers 0 should fit");
  CHECK(advice_within(1440) == "--workers 7, --batch-size 56 or --micro-batch 32 should fit");
}

TEST_CASE("fitting sizes: two changes, where none alone is enough") {
  CHECK(advice_within(300) == "--workers 0 with --batch-size 24 or --micro-batch 16 should fit");
}

TEST_CASE("fitting sizes: the limit is named as the last way out") {
  PretrainOptions o = small_options(32, 64);
  CHECK(advice_about_sizes(
            o, {.fits = fits_into_units(200), .fits_without_pictures = always, .limit = "raise it"}) ==
        "--batch-size 16 or --micro-batch 16 should fit; if that is not enough: raise it");
}

// Of 100 at 32 pixels for a ResNet-50: what a run of the smallest batch takes. Pictures and network take their part of it.
FitsIntoMemory takes_by_size(std::int64_t there_is, std::int64_t of_pictures) {
  return [=](const PretrainOptions& o) {
    const std::int64_t of_network = o.model == smallest_model ? 5 : 40;
    return of_pictures + of_network + o.image_size <= there_is;
  };
}

// What is said of a run of the smallest batch where there is so much; its picture takes 28.
std::string said_where_there_is(std::int64_t there_is, const std::string& limit = {},
                                const std::string& model = "resnet50", int side = 32) {
  PretrainOptions o = small_options(side, 2);
  o.model = model;
  const PictureMemory largest{.height = 2000, .width = 3000, .pixels = 18'000'000, .decoder = 18'000'000};
  const std::string text = advice_about_sizes(
      o, {.fits = takes_by_size(there_is, 28),
          .fits_without_pictures = takes_by_size(there_is, 0),
          .largest = largest,
          .parts =
              [](const PretrainOptions&) {
                return NeededParts{.pictures = 9 * mebibyte, .model = mebibyte, .others = 5 * mebibyte};
              },
          .limit = limit});
  const std::string head = fmt::format(
      "not even --workers 0 and a batch of 2 fit with {} at {} pixels, with 9.0 MiB for loading the "
      "largest picture, of 3000 x 2000 pixels, and 5.0 MiB for threads, buffers and free blocks; ",
      model, side);
  CHECK(text.starts_with(head));
  return text.substr(head.size());
}

TEST_CASE("fitting sizes: if not even the smallest batch fits, what would be enough is named, and only that") {
  CHECK(said_where_there_is(76) ==
        "use smaller copies of the largest pictures, a smaller --image-size or a smaller --model");
  CHECK(said_where_there_is(75) == "use smaller copies of the largest pictures or a smaller --model");
  CHECK(said_where_there_is(66) == "use a smaller --model");
  CHECK(said_where_there_is(64) ==
        "use smaller copies of the largest pictures and a smaller --image-size, smaller copies of the largest "
        "pictures and a smaller --model or a smaller --image-size and a smaller --model");
  CHECK(said_where_there_is(40) == "use smaller copies of the largest pictures and a smaller --model");
  CHECK(said_where_there_is(15) ==
        "use smaller copies of the largest pictures and a smaller --image-size and a smaller --model");
  CHECK(said_where_there_is(12) == "more memory is needed");
  CHECK(said_where_there_is(12, "ulimit -v allows 87.9 MiB; raise it") ==
        "ulimit -v allows 87.9 MiB; raise it");
  CHECK(said_where_there_is(66, "raise it") == "use a smaller --model; if that is not enough: raise it");
  // What is the smallest already is not named.
  CHECK(said_where_there_is(40, "", "resnet20") == "use smaller copies of the largest pictures");
  CHECK(said_where_there_is(40, "", "resnet20", 8) == "use smaller copies of the largest pictures");
  CHECK(said_where_there_is(12, "", "resnet20", 8) == "more memory is needed");
}

TEST_CASE("fitting sizes: images that are too small for a network are no help, and larger ones may be") {
  PretrainOptions o = small_options(64, 2);
  const auto refuses_eight_pixels = [](const PretrainOptions& run) {
    check(run.image_size > 8, ExitCode::usage, Cause::small_image, "too small");
    return run.image_size <= 16;
  };
  const auto parts = [](const PretrainOptions&) {
    return NeededParts{.model = 1, .activations = 3 * mebibyte};
  };
  CHECK(advice_about_sizes(o, {.fits = refuses_eight_pixels, .fits_without_pictures = never, .parts = parts}) ==
        "not even --workers 0 and a batch of 2 fit with resnet20 at 64 pixels, with 3.0 MiB for the "
        "activations of "
        "a step and 0.0 MiB for threads, buffers and free blocks; use a smaller --image-size");
}

TEST_CASE("fitting sizes: no batch size is advised if memory ran out while pictures were loaded") {
  PretrainOptions o = small_options(32, 64);
  const auto with_workers = [&](std::int64_t workers, const std::string& limit = {}) {
    o.workers = workers;
    return advice_about_loading(o, limit);
  };
  CHECK(with_workers(8) == "use --workers 4, so that fewer pictures are decoded at once");
  CHECK(with_workers(3) == "use --workers 1, so that fewer pictures are decoded at once");
  CHECK(with_workers(1) ==
        "use --workers 0; if that is not enough, use smaller copies of the largest pictures, or a smaller "
        "--batch-size");
  CHECK(with_workers(0) == "use smaller copies of the largest pictures, or a smaller --batch-size");
  o.batch_size = 2;
  CHECK(with_workers(0) == "use smaller copies of the largest pictures");
  CHECK(with_workers(0, "raise it") ==
        "use smaller copies of the largest pictures; if that is not enough: raise it");
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
  CHECK(test::error_of(explain).starts_with(
      "it is full; use --workers 2, so that fewer pictures are decoded at once"));
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
