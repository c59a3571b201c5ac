// What several processes load is together what one loads: the same images, views, labels and order, whatever the sampler,
// the layout of the set and the place where a run begins, with images that cannot be read among them.
#include "../../engine/communicator/threads.h"
#include "../batches.h"
#include "../tar_writer.h"
#include "../test_images.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/loading/bad_images_of_all.h>
#include <kindred/data/loading/loader.h>
#include <kindred/data/loading/resident_batches.h>
#include <kindred/data/sets/pack/pack.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

using namespace test;

// Samples made in memory, which counts how often each is loaded.
class CountingSource : public SampleSource {
 public:
  CountingSource(std::int64_t count, std::set<std::int64_t> rejected)
      : loads(static_cast<std::size_t>(count)), rejected_(std::move(rejected)) {}
  std::string name(std::int64_t i) const override { return fmt::format("sample {}", i); }
  void load(std::int64_t i, Decoded& out) const override {
    ++loads[static_cast<std::size_t>(i)];
    out = {};
    out.reason = "planted";
    if (rejected_.contains(i)) return;
    out.outcome = Outcome::ok;
    out.reason.clear();
    out.image = smooth_image(20 + static_cast<int>(i % 3), 24, static_cast<int>(i));
    out.picture_height = out.image.height;
    out.picture_width = out.image.width;
  }
  std::int64_t count_of_loads() const {
    std::int64_t sum = 0;
    for (const auto& count : loads) sum += count;
    return sum;
  }

  mutable std::vector<std::atomic<int>> loads;

 private:
  std::set<std::int64_t> rejected_;
};

// `count` samples of three classes, of which the first is frequent and the last is rare.
std::vector<std::int32_t> uneven_labels(std::int64_t count) {
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(i % 7 == 3 ? 2 : i % 3 == 1 ? 1 : 0);
  return labels;
}

Dataset set_of(std::shared_ptr<const SampleSource> source, std::int64_t count) {
  return Dataset({"a", "b", "c"}, uneven_labels(count), std::move(source), false);
}

LoaderOptions options_of_run() {
  LoaderOptions o;
  o.batch_size = 8;
  o.size = 12;
  o.recipe = recipe("simaugment", 12);
  o.seed = 11;
  return o;
}

// The bytes of each view of an image.
std::vector<std::size_t> view_bytes(const LoaderOptions& o) {
  const auto bytes = [](int size) { return std::size_t(size) * std::size_t(size) * 3; };
  if (o.groups.empty()) return std::vector<std::size_t>(static_cast<std::size_t>(o.views), bytes(o.size));
  std::vector<std::size_t> all;
  for (const ViewGroup& group : o.groups)
    all.insert(all.end(), static_cast<std::size_t>(group.count), bytes(group.size));
  return all;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// The batch whose rows are those of the parts, in their order: view by view.
Batch joined(const std::vector<Batch>& parts, const LoaderOptions& o) {
  Batch whole;
  std::vector<std::size_t> at(parts.size());
  for (const std::size_t bytes : view_bytes(o))
    for (std::size_t p = 0; p < parts.size(); ++p) {
      const auto begin = parts[p].images.begin() + static_cast<std::ptrdiff_t>(at[p]);
      at[p] += bytes * parts[p].labels.size();
      whole.images.insert(whole.images.end(), begin,
                          parts[p].images.begin() + static_cast<std::ptrdiff_t>(at[p]));
    }
  for (const Batch& part : parts) {
    append(whole.labels, part.labels);
    append(whole.indices, part.indices);
    append(whole.drawn, part.drawn);
  }
  return whole;
}

std::vector<Batch> batches_from(Loader& loader, std::uint32_t epoch, std::int64_t first) {
  std::vector<Batch> batches;
  loader.start_epoch(epoch, first);
  for (Batch batch; loader.next(batch);) batches.push_back(batch);
  return batches;
}

bool equal_batches(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return same(a, b) && std::equal(a.begin(), a.end(), b.begin(),
                                  [](const Batch& x, const Batch& y) { return x.drawn == y.drawn; });
}

// Batches of an epoch from `first` on, of one process (size 1), or joined from `size` of them.
std::vector<Batch> batches_of_processes(const Dataset& set, LoaderOptions o, int size, std::uint32_t epoch,
                                        std::int64_t first = 0) {
  std::vector<std::vector<Batch>> of_rank;
  for (int rank = 0; rank < size; ++rank) {
    o.share = {rank, size, false};
    o.workers = rank % 3;  // with and without threads
    Loader loader(set, o);
    of_rank.push_back(batches_from(loader, epoch, first));
    REQUIRE(of_rank.back().size() == of_rank.front().size());
    if (o.drop_last && o.batch_size % size == 0)
      for (const Batch& batch : of_rank.back()) CHECK(batch.rows() == o.batch_size / size);
  }
  std::vector<Batch> whole;
  for (std::size_t b = 0; b < of_rank.front().size(); ++b) {
    std::vector<Batch> parts;
    for (const auto& batches : of_rank) parts.push_back(batches[b]);
    whole.push_back(joined(parts, o));
  }
  return whole;
}

// Two epochs, and the second half of one.
void check_same_batches(const Dataset& set, const LoaderOptions& o) {
  std::vector<Batch> expected[2];
  for (const std::uint32_t epoch : {0u, 1u}) {
    Loader alone(set, o);
    expected[epoch] = batches_from(alone, epoch, 0);
    REQUIRE(expected[epoch].size() >= 4);
  }
  CHECK(!equal_batches(expected[0], expected[1]));
  const std::vector<Batch> rest(expected[1].begin() + 2, expected[1].end());
  for (const int size : {1, 2, 4, 3}) {  // 3 does not divide the batch
    CAPTURE(size);
    for (const std::uint32_t epoch : {0u, 1u})
      CHECK(equal_batches(batches_of_processes(set, o, size, epoch), expected[epoch]));
    CHECK(equal_batches(batches_of_processes(set, o, size, 1, 2), rest));
  }
}

TEST_CASE("shares of batches: for every sampler, view and cache, with images that cannot be read") {
  const auto set = set_of(std::make_shared<CountingSource>(50, std::set<std::int64_t>{4, 10, 24, 45}), 50);
  std::vector<std::pair<std::string, LoaderOptions>> cases;
  const auto add = [&](const std::string& what, auto change) {
    LoaderOptions o = options_of_run();
    change(o);
    cases.emplace_back(what, o);
  };
  add("uniform", [](auto&) {});
  add("three views", [](auto& o) { o.views = 3; });
  add("groups of a class", [](auto& o) { o.per_class = 2; });
  add("inverse frequency", [](auto& o) { o.sampling = Sampling::inverse_frequency; });
  add("both", [](auto& o) {
    o.sampling = Sampling::inverse_frequency;
    o.per_class = 4;
  });
  add("multi-crop", [](auto& o) {
    o.groups = {{recipe("simaugment", 12), 12, 2}, {recipe("probe", 7), 7, 3}};
  });
  add("last batch", [](auto& o) { o.drop_last = false; });
  add("small cache", [](auto& o) { o.cache_bytes = 5000; });
  for (const auto& [what, o] : cases) {
    CAPTURE(what);
    check_same_batches(set, o);
  }
}

TEST_CASE("shares of batches: each process decodes its own images only") {
  LoaderOptions o = options_of_run();
  for (const int size : {1, 2, 4})
    for (int rank = 0; rank < size; ++rank) {
      const auto source = std::make_shared<CountingSource>(48, std::set<std::int64_t>{});
      o.share = {rank, size, false};
      Loader loader(set_of(source, 48), o);
      std::set<std::int64_t> shown;
      for (const Batch& batch : batches_from(loader, 0, 0))
        shown.insert(batch.indices.begin(), batch.indices.end());
      CHECK(source->count_of_loads() == 48 / size);
      CHECK(static_cast<std::int64_t>(shown.size()) == 48 / size);
      for (const std::int64_t i : shown) CHECK(source->loads[static_cast<std::size_t>(i)] == 1);
    }
}

TEST_CASE("shares of batches: more processes than rows, of which some see batches without rows") {
  LoaderOptions o = options_of_run();
  o.batch_size = 3;
  const Dataset set = set_of(std::make_shared<CountingSource>(13, std::set<std::int64_t>{}), 13);
  Loader alone(set, o);
  const auto expected = batches_from(alone, 2, 0);
  REQUIRE(expected.size() == 4);
  for (const int size : {4, 7}) CHECK(equal_batches(batches_of_processes(set, o, size, 2), expected));
}

TEST_CASE("shares of batches: folders, shards and packs") {
  const TempFolder folder;
  write_class_folders(folder, "set/train", {"a", "b", "c"}, 12, 30);
  write_class_folders(folder, "set/val", {"a", "b", "c"}, 2, 30);
  folder.write("set/train/b/003.jpg", {1, 2, 3});
  const std::string dir = folder.string() + "/set", pack = folder.string() + "/set.kpack";
  write_pack(*open_dataset(dir, Split::train), open_dataset(dir, Split::evaluation), dir, pack, PackOptions());
  for (int shard = 0; shard < 3; ++shard) {
    TarWriter tar;
    for (int i = 0; i < 12; ++i) {
      const std::string file = fmt::format("{}/train/{}/{:03}.jpg", dir, "abc"[i % 3], 4 * shard + i / 3);
      const Bytes bytes = read_file(file, 1 << 20).bytes;
      tar.add(fmt::format("{:02}.jpg", i), std::string(bytes.begin(), bytes.end()));
      tar.add(fmt::format("{:02}.cls", i), std::to_string(i % 3));
    }
    folder.write(fmt::format("shards/set-train-{}.tar", shard), as_bytes(tar.finish()));
  }
  for (const std::string& path : {dir, pack, folder.string() + "/shards"}) {
    CAPTURE(path);
    const Dataset set = *open_dataset(path, Split::train);
    REQUIRE(set.size() == 36);
    check_same_batches(set, options_of_run());
  }
}

TEST_CASE("shares of whole batches: dealt out in turn, each as one process makes it") {
  // The second batch of 8 has nothing left, others have fewer rows.
  const std::set<std::int64_t> rejected = {0, 3, 8, 9, 10, 11, 12, 13, 14, 15, 30, 48};
  const Dataset set = set_of(std::make_shared<CountingSource>(49, rejected), 49);
  LoaderOptions o = options_of_run();
  o.shuffle = o.drop_last = false;
  o.skip_bad = true;
  Loader alone(set, o);
  const auto expected = batches_from(alone, 0, 0);
  REQUIRE(expected.size() == 5);  // the last one had a single image, which is rejected
  for (const int size : {1, 2, 4, 9}) {
    CAPTURE(size);
    std::vector<std::pair<std::int64_t, Batch>> found;  // by the batch's place among all
    std::vector<BadImage> bad;
    for (int rank = 0; rank < size; ++rank) {
      o.share = {rank, size, true};
      o.workers = rank % 2;
      Loader loader(set, o);
      CHECK(loader.batches_per_epoch() == (7 - rank + size - 1) / size);
      loader.start_epoch(0);
      for (Batch batch; loader.next(batch);)
        found.emplace_back((loader.position().batch - 1) * size + rank, batch);
      append(bad, loader.bad_images());
    }
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<Batch> batches;
    for (const auto& [place, batch] : found) batches.push_back(batch);
    CHECK(equal_batches(batches, expected));
    CHECK(bad.size() == rejected.size());
  }
}

TEST_CASE("shares of batches whose pictures stay on a GPU: the same instructions") {
  const Dataset set = set_of(std::make_shared<CountingSource>(50, std::set<std::int64_t>{}), 50);
  LoaderOptions o = options_of_run();
  o.recipe = recipe("cifar", 12);
  const auto drawn_by = [&](int rank, int size) {
    o.share = {rank, size, false};
    ResidentBatches batches(set, o, 24, 24);
    std::vector<ResidentBatch> all;
    batches.start_epoch(1, 2);
    for (ResidentBatch batch; batches.next(batch);) all.push_back(batch);
    return all;
  };
  const auto expected = drawn_by(0, 1);
  REQUIRE(expected.size() == 4);
  for (const int size : {2, 4, 3}) {
    CAPTURE(size);
    std::vector<std::vector<ResidentBatch>> of_rank;
    for (int rank = 0; rank < size; ++rank) of_rank.push_back(drawn_by(rank, size));
    for (std::size_t b = 0; b < expected.size(); ++b) {
      ResidentBatch whole;
      for (const auto& batches : of_rank) {
        append(whole.labels, batches.at(b).labels);
        append(whole.indices, batches[b].indices);
      }
      for (std::ptrdiff_t view = 0; view < o.views; ++view)
        for (const auto& batches : of_rank) {
          const auto rows = static_cast<std::ptrdiff_t>(batches[b].labels.size());
          const auto begin = batches[b].views.begin() + view * rows;
          whole.views.insert(whole.views.end(), begin, begin + rows);
        }
      CHECK(whole.labels == expected[b].labels);
      CHECK(whole.indices == expected[b].indices);
      REQUIRE(whole.bytes().size() == expected[b].bytes().size());
      CHECK(std::memcmp(whole.bytes().data(), expected[b].bytes().data(), whole.bytes().size()) == 0);
    }
  }
}

TEST_CASE("shares of batches: options that do not fit") {
  const auto error = [](LoaderOptions::Share share, bool skip_bad) {
    LoaderOptions o = options_of_run();
    o.share = share;
    o.skip_bad = skip_bad;
    return error_of(
        [&] { Loader(set_of(std::make_shared<CountingSource>(20, std::set<std::int64_t>{}), 20), o); });
  };
  CHECK(error({1, 2, true}, true) == "no error");
  CHECK(error({1, 2, false}, false) == "no error");
  CHECK(error({2, 2, false}, false) == "a loader for rank 2 of 2 processes");
  CHECK(contains(error({1, 2, false}, true), "expected shares of whole batches"));
}

// ---- the lists of bad images

bool same_image(const BadImage& a, const BadImage& b) {
  return a.index == b.index && a.path == b.path && a.outcome == b.outcome && a.reason == b.reason;
}

TEST_CASE("bad images of all processes: one list, the same in each, whatever the names hold") {
  const std::vector<BadImage> known = {{3, "a b.jpg", Outcome::rejected, ""},
                                       {5, "zeile\n5 1 2 3 .jpg", Outcome::damaged, "17 18 \t\"x\""},
                                       {900'000'000'000, "\xff\xfe", Outcome::rejected, "an HTML page\n"},
                                       {7, "", Outcome::damaged, "cut off"}};
  for (const int size : {1, 2, 4}) {
    std::vector<std::vector<BadImage>> found(static_cast<std::size_t>(size));
    run_processes(size, [&](const Communicator& processes) {
      std::vector<BadImage> own;
      for (std::size_t i = 0; i < known.size(); ++i)
        if (static_cast<int>(i) % size == processes.rank()) own.push_back(known[i]);
      if (size > 1)
        own.push_back({1, fmt::format("of rank {}", processes.rank()), Outcome::rejected, "seen by all"});
      found[static_cast<std::size_t>(processes.rank())] = bad_images_of_all(processes, own);
    });
    if (size == 1) {
      CHECK(found[0].size() == 4);
      continue;
    }
    const std::vector<BadImage> expected = {
        {1, "of rank 0", Outcome::rejected, "seen by all"}, known[0], known[1], known[3], known[2]};
    for (const auto& list : found)
      CHECK(std::equal(list.begin(), list.end(), expected.begin(), expected.end(), same_image));
  }
}

}  // namespace
}  // namespace kindred
