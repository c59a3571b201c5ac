#include "batches.h"
#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/views/augment.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>

using namespace kindred;
using namespace kindred::test;

namespace {

// Samples made in memory. Samples in `rejected` cannot be decoded, samples in `damaged` give a warning, and
// `throwing` throws.
struct FakeSource : SampleSource {
  std::set<std::int64_t> rejected, damaged;
  std::int64_t throwing = -1;

  std::string name(std::int64_t i) const override { return "sample " + std::to_string(i); }
  void load(std::int64_t i, Decoded& d) const override {
    if (i == throwing) throw std::runtime_error("planted");
    d = {};
    if (rejected.contains(i)) {
      d.reason = "planted";
      return;
    }
    d.outcome = damaged.contains(i) ? Outcome::damaged : Outcome::ok;
    d.reason = damaged.contains(i) ? "scratched" : "";
    d.image = smooth_image(20 + static_cast<int>(i % 3), 24, static_cast<int>(i));
    d.picture_height = d.image.height;
    d.picture_width = d.image.width;
  }
};

// `count` samples of three classes, 0 1 2 0 1 2 ...
Dataset fake_set(std::int64_t count, FakeSource source = {}) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int32_t>(i % 3));
  return Dataset({"a", "b", "c"}, labels, std::make_shared<FakeSource>(std::move(source)), false);
}

LoaderOptions small_options() {
  LoaderOptions o;
  o.batch_size = 8;
  o.size = 16;
  o.recipe = recipe("simaugment", 16);
  o.seed = 5;
  return o;
}

std::vector<Batch> epoch_of(Loader& loader, std::uint32_t epoch, std::int64_t first = 0) {
  std::vector<Batch> batches;
  loader.start_epoch(epoch, first);
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

std::vector<std::int64_t> all_indices(const std::vector<Batch>& batches) {
  std::vector<std::int64_t> indices;
  for (const Batch& b : batches) indices.insert(indices.end(), b.indices.begin(), b.indices.end());
  return indices;
}

}  // namespace

TEST_CASE("loader: the number of workers changes nothing") {
  for (const int views : {1, 2, 3}) {
    LoaderOptions o = small_options();
    o.views = views;
    o.workers = 0;
    Loader alone(fake_set(50), o);
    const std::vector<Batch> expected = epoch_of(alone, 3);
    REQUIRE(expected.size() == 6);
    CHECK(expected[0].images.size() == std::size_t(views) * 8 * 16 * 16 * 3);
    for (const int workers : {1, 2, 8}) {
      o.workers = workers;
      o.prefetch_batches = 1 + workers % 3;
      Loader many(fake_set(50), o);
      CHECK(!same(epoch_of(many, 2), expected));
      CHECK(same(epoch_of(many, 3), expected));
      const std::vector<Batch> rest(expected.begin() + 4, expected.end());
      CHECK(same(epoch_of(many, 3, 4), rest));  // a resumed epoch
    }
  }
}

TEST_CASE("loader: rows are view-major, labels and indices belong to them") {
  LoaderOptions o = small_options();
  o.views = 3;
  const Dataset set = fake_set(24);
  Loader loader(set, o);
  AugmentScratch scratch;
  Bytes expected(16 * 16 * 3);
  for (const Batch& batch : epoch_of(loader, 1))
    for (std::size_t row = 0; row < 8; ++row) {
      const std::int64_t index = batch.indices[row];
      CHECK(batch.labels[row] == set.label(index));
      for (std::uint32_t view = 0; view < 3; ++view) {
        RandomStream random(o.seed, Purpose::augment, 1, static_cast<std::uint32_t>(index), view);
        make_view(set.load(index).image, o.recipe, 16, random, expected.data(), scratch);
        CHECK(std::memcmp(expected.data(), batch.images.data() + (view * 8 + row) * expected.size(),
                          expected.size()) == 0);
      }
    }
}

TEST_CASE("loader: multi-crop: groups of views, each with its own recipe and size") {
  LoaderOptions o = small_options();
  o.groups = {{recipe("simaugment", 16), 16, 2}, {recipe("autoaugment-cifar", 9), 9, 3}};
  FakeSource source;
  source.rejected = {5};
  o.shuffle = false;
  const Dataset set = fake_set(24, source);
  constexpr std::size_t large = 16 * 16 * 3, small = 9 * 9 * 3;
  for (const bool skip : {false, true}) {
    o.skip_bad = skip;
    Bytes expected(large);
    AugmentScratch scratch;
    for (const int workers : {0, 1, 8}) {
      o.workers = workers;
      Loader loader(set, o);
      for (const Batch& batch : epoch_of(loader, 1)) {
        const std::size_t rows = batch.labels.size();
        REQUIRE(batch.images.size() == rows * (2 * large + 3 * small));
        for (std::size_t row = 0; row < rows; ++row)
          for (std::uint32_t view = 0; view < 5; ++view) {
            const bool first = view < 2;
            const std::size_t bytes = first ? large : small;
            const std::int64_t shown = batch.indices[row];
            // The views of a substitute are keyed by the requested sample.
            const auto key = static_cast<std::uint32_t>(shown == 8 && row == 5 ? 5 : shown);
            RandomStream random(o.seed, Purpose::augment, 1, key, view);
            make_view(set.load(shown).image, o.groups[first ? 0 : 1].recipe, first ? 16 : 9, random,
                      expected.data(), scratch);
            const std::size_t at =
                first ? (view * rows + row) * large : 2 * rows * large + ((view - 2) * rows + row) * small;
            REQUIRE(std::memcmp(expected.data(), batch.images.data() + at, bytes) == 0);
          }
      }
    }
  }
}

TEST_CASE("loader: an epoch is a permutation, another one each time") {
  LoaderOptions o = small_options();
  o.drop_last = false;
  Loader loader(fake_set(50), o);
  CHECK(loader.batches_per_epoch() == 7);
  const auto first = epoch_of(loader, 0), second = epoch_of(loader, 1);
  CHECK(first.back().rows() == 2);
  CHECK(first.back().images.size() == 2 * 2 * 16 * 16 * 3);
  auto indices = all_indices(first);
  CHECK(indices != all_indices(second));
  std::sort(indices.begin(), indices.end());
  std::vector<std::int64_t> expected(50);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(indices == expected);
  o.shuffle = false;
  Loader in_order(fake_set(50), o);
  CHECK(all_indices(epoch_of(in_order, 0)) == expected);
}

TEST_CASE("loader: the cache changes nothing, whatever it holds") {
  LoaderOptions o = small_options();
  o.workers = 2;
  Loader reference(fake_set(50), o);
  for (const std::size_t bytes : {0, 5000, 30000}) {
    o.cache_bytes = bytes;
    Loader loader(fake_set(50), o);
    for (const std::uint32_t epoch : {0u, 1u}) CHECK(same(epoch_of(loader, epoch), epoch_of(reference, epoch)));
  }
}

TEST_CASE("loader: a rejected image is replaced by the next of its class, and listed once") {
  FakeSource source;
  source.rejected = {4, 7, 48};
  source.damaged = {11};
  for (const int workers : {0, 1, 8}) {
    LoaderOptions o = small_options();
    o.workers = workers;
    o.drop_last = false;
    Loader loader(fake_set(50, source), o), well(fake_set(50), o);
    for (const std::uint32_t epoch : {0u, 1u}) {
      const auto batches = epoch_of(loader, epoch), unharmed = epoch_of(well, epoch);
      const auto indices = all_indices(batches), wanted = all_indices(unharmed);
      const std::map<std::int64_t, std::int64_t> stand_in{{4, 10}, {7, 10}, {48, 0}};  // 48: last of its class
      REQUIRE(indices.size() == wanted.size());
      for (std::size_t i = 0; i < indices.size(); ++i)
        CHECK(indices[i] == (stand_in.contains(wanted[i]) ? stand_in.at(wanted[i]) : wanted[i]));
      for (std::size_t b = 0; b < batches.size(); ++b) CHECK(batches[b].labels == unharmed[b].labels);
    }
    const auto bad = loader.bad_images();
    REQUIRE(bad.size() == 4);
    CHECK(bad[0].index == 4);
    CHECK(bad[0].path == "sample 4");
    CHECK(bad[0].reason == "planted");
    CHECK(bad[2].index == 11);
    CHECK(bad[2].outcome == Outcome::damaged);
    CHECK(bad[3].index == 48);
  }
}

TEST_CASE("loader: in evaluation a rejected image is left out") {
  FakeSource source;
  source.rejected = {0, 3, 8, 9, 10, 11, 12, 13, 14, 15};  // the second batch has nothing left
  LoaderOptions o = small_options();
  o.shuffle = o.drop_last = false;
  o.skip_bad = true;
  o.workers = 2;
  const Dataset set = fake_set(20, source);
  Loader loader(set, o), well(fake_set(20), o);
  for (const std::uint32_t epoch : {0u, 1u}) {
    const auto batches = epoch_of(loader, epoch), whole = epoch_of(well, epoch);
    REQUIRE(batches.size() == 2);
    CHECK(batches[0].indices == std::vector<std::int64_t>{1, 2, 4, 5, 6, 7});
    CHECK(batches[0].drawn == batches[0].indices);
    CHECK(batches[0].labels == std::vector<std::int32_t>{1, 2, 1, 2, 0, 1});
    CHECK(batches[1].indices == std::vector<std::int64_t>{16, 17, 18, 19});
    const std::size_t bytes = 16 * 16 * 3;
    REQUIRE(batches[0].images.size() == 2 * 6 * bytes);
    // View 1 of sample 4: row 2 of 6 here, row 4 of 8 in the batch without bad images.
    CHECK(std::memcmp(batches[0].images.data() + (6 + 2) * bytes, whole[0].images.data() + (8 + 4) * bytes,
                      bytes) == 0);
  }
  CHECK(loader.bad_images().size() == 10);
}

TEST_CASE("loader: max_bad and strict fail with the same batch for any number of workers") {
  FakeSource source;
  source.rejected = {4, 7, 9};
  source.damaged = {11};
  const auto failing_batch = [&](LoaderOptions o, const std::string& message) {
    Loader loader(fake_set(50, source), o);
    loader.start_epoch(0);
    Batch batch;
    int delivered = 0;
    const std::string error = error_of([&] {
      while (loader.next(batch)) ++delivered;
    });
    CHECK(error.find(message) != std::string::npos);
    CHECK(!loader.next(batch));  // the epoch is over
    return delivered;
  };
  for (const bool strict : {false, true}) {
    std::set<int> seen;
    for (const int workers : {0, 1, 8}) {
      LoaderOptions o = small_options();
      o.workers = workers;
      o.drop_last = false;
      o.strict = strict;
      o.max_bad = strict ? -1 : 2;
      seen.insert(failing_batch(
          o, strict ? "no bad image is accepted" : "3 images could not be decoded, more than the limit of"));
    }
    CHECK(seen.size() == 1);
  }
  LoaderOptions o = small_options();
  o.max_bad = 3;  // damaged images do not count
  Loader loader(fake_set(50, source), o);
  CHECK(epoch_of(loader, 0).size() == 6);
}

TEST_CASE("loader: a batch says which images were asked for, and known bad images count at once") {
  FakeSource source;
  source.rejected = {4, 7};  // of class b, like 1 and 10
  LoaderOptions o = small_options();
  o.shuffle = false;
  Loader loader(fake_set(12, source), o);
  const auto batches = epoch_of(loader, 0);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].drawn == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(batches[0].indices == std::vector<std::int64_t>{0, 1, 2, 3, 10, 5, 6, 10});

  o.max_bad = 1;
  Loader told(fake_set(12, source), o);
  const BadImage four{4, "sample 4", Outcome::rejected, "planted"},
      seven{7, "sample 7", Outcome::rejected, "planted"};
  told.know_bad({four});
  told.know_bad({four});  // it is listed once
  CHECK(told.bad_count() == 1);
  CHECK(error_of([&] { told.know_bad({seven}); }) ==
        "2 images could not be decoded, more than the limit of 1; the last, sample 7: planted");
  CHECK(told.bad_images().size() == 2);
}

TEST_CASE("loader: a class without a single good image") {
  FakeSource source;
  for (std::int64_t i = 1; i < 12; i += 3) source.rejected.insert(i);
  LoaderOptions o = small_options();
  Loader loader(fake_set(12, source), o);
  loader.start_epoch(0);
  Batch batch;
  const std::string error = error_of([&] { loader.next(batch); });
  CHECK(error.find("class 'b': none of its 4 images can be decoded") != std::string::npos);
}

TEST_CASE("loader: what a worker throws reaches the caller, and the loader lives on") {
  FakeSource source;
  source.throwing = 30;
  for (const int workers : {0, 1, 4}) {
    LoaderOptions o = small_options();
    o.workers = workers;
    o.shuffle = false;
    Loader loader(fake_set(50, source), o);
    for (int attempt = 0; attempt < 2; ++attempt) {
      loader.start_epoch(0);
      Batch batch;
      for (int b = 0; b < 3; ++b) CHECK(loader.next(batch));
      CHECK_THROWS_WITH_AS(loader.next(batch), "planted", std::runtime_error);
      CHECK(!loader.next(batch));
    }
  }
}

TEST_CASE("loader: it can be dropped or restarted at any moment") {
  LoaderOptions o = small_options();
  o.workers = 4;
  for (int batches = 0; batches < 7; ++batches) {
    Loader loader(fake_set(60), o);
    Batch batch;
    CHECK(!loader.next(batch));  // no epoch was begun
    loader.start_epoch(0);
    for (int b = 0; b < batches; ++b) CHECK(loader.next(batch));
    loader.start_epoch(1);
    CHECK(loader.next(batch));
    Loader moved = std::move(loader);
    CHECK(moved.next(batch));
    CHECK(moved.wait_seconds() >= 0);
  }
}

TEST_CASE("loader: buffers are exchanged, not made anew") {
  LoaderOptions o = small_options();
  o.prefetch_batches = 1;
  Loader loader(fake_set(48), o);
  std::set<const void*> addresses;
  Batch batch;
  for (std::uint32_t epoch = 0; epoch < 4; ++epoch) {
    loader.start_epoch(epoch);
    while (loader.next(batch)) addresses.insert(batch.images.data());
  }
  CHECK(addresses.size() == 2);
}

TEST_CASE("loader: options out of range") {
  const auto error = [](auto change) {
    LoaderOptions o = small_options();
    change(o);
    return error_of([&] { Loader(fake_set(50), o); });
  };
  CHECK(error([](auto& o) { o.batch_size = 51; }) ==
        "batch size 51 is larger than the data set, which has 50 images");
  CHECK(error([](auto& o) {
          o.batch_size = 51;
          o.drop_last = false;
        }) == "no error");
  CHECK(error([](auto& o) { o.batch_size = 0; }) == "batch size must be at least 1, not 0");
  CHECK(error([](auto& o) { o.views = 0; }) == "views must be at least 1, not 0");
  CHECK(error([](auto& o) { o.groups = {{o.recipe, 16, 0}}; }) == "views must be at least 1, not 0");
  CHECK(error([](auto& o) { o.size = 0; }) == "image size must be at least 1 pixel, not 0");
  CHECK(error([](auto& o) { o.workers = -1; }) == "workers must be at least 0, not -1");
}
