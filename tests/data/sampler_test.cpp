#include "test_images.h"

#include <doctest/doctest.h>
#include <kindred/data/loading/sampler.h>

#include <algorithm>
#include <map>
#include <set>

using namespace kindred;
using namespace kindred::test;

namespace {

// Class c has sizes[c] samples, mixed.
std::vector<std::int32_t> labels_of(const std::vector<int>& sizes) {
  std::vector<std::int32_t> labels;
  for (int round = 0; round < *std::max_element(sizes.begin(), sizes.end()); ++round)
    for (std::size_t c = 0; c < sizes.size(); ++c)
      if (round < sizes[c]) labels.push_back(static_cast<std::int32_t>(c));
  return labels;
}

std::vector<Draw> draw(const Sampler& sampler, std::uint32_t epoch) {
  std::vector<Draw> order;
  sampler.draw(epoch, order);
  return order;
}

bool same(const std::vector<Draw>& a, const std::vector<Draw>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Draw& x, const Draw& y) { return x.sample == y.sample && x.repeat == y.repeat; });
}

std::map<std::uint32_t, int> times_drawn(const std::vector<Draw>& order) {
  std::map<std::uint32_t, int> times;
  for (const Draw& d : order)
    CHECK(d.repeat ==
          static_cast<std::uint32_t>(std::count_if(order.begin(), order.end(), [&](const Draw& other) {
            return other.sample == d.sample && other.repeat < d.repeat;
          })));
  for (const Draw& d : order) ++times[d.sample];
  return times;
}

}  // namespace

TEST_CASE("sampler: uniform is a permutation, a function of seed and epoch") {
  const auto labels = labels_of({5, 40, 1, 0, 12});
  SamplerOptions options;
  options.seed = 3;
  const Sampler sampler(labels, 5, options);
  REQUIRE(sampler.epoch_size() == 58);
  const auto order = draw(sampler, 4);
  const auto times = times_drawn(order);
  CHECK(times.size() == 58);
  CHECK(same(order, draw(Sampler(labels, 5, options), 4)));
  CHECK(!same(order, draw(sampler, 5)));
  options.seed = 4;
  CHECK(!same(order, draw(Sampler(labels, 5, options), 4)));
  options.shuffle = false;
  const auto plain = draw(Sampler(labels, 5, options), 4);
  for (std::uint32_t i = 0; i < 58; ++i) CHECK(plain[i].sample == i);
}

TEST_CASE("sampler: per_class gives each class of a batch that many different images") {
  const auto labels = labels_of({5, 40, 2, 0, 13, 8});
  for (const Sampling sampling : {Sampling::uniform, Sampling::inverse_frequency})
    for (const std::int64_t m : {2, 4}) {
      const std::int64_t batch = 12;
      const Sampler sampler(labels, 6, {.sampling = sampling, .per_class = m, .batch_size = batch, .seed = 7});
      for (const std::uint32_t epoch : {0u, 1u}) {
        const auto order = draw(sampler, epoch);
        REQUIRE(order.size() == static_cast<std::size_t>(sampler.epoch_size()));
        CHECK(same(order, draw(sampler, epoch)));
        for (std::size_t first = 0; first + 12 <= order.size(); first += 12) {
          std::map<std::int32_t, std::int64_t> images;
          for (std::size_t i = first; i < first + 12; ++i) ++images[labels[order[i].sample]];
          for (const auto& [label, count] : images) CHECK(count >= m);
        }
        for (std::size_t first = 0; first < order.size(); first += static_cast<std::size_t>(m)) {
          std::set<std::uint32_t> group;
          for (std::size_t i = first; i < first + static_cast<std::size_t>(m); ++i) {
            group.insert(order[i].sample);
            CHECK(labels[order[i].sample] == labels[order[first].sample]);
          }
          const std::size_t members = labels[order[first].sample] == 2 ? 2 : static_cast<std::size_t>(m);
          CHECK(group.size() == members);  // class 2 has only two images
        }
        const auto times = times_drawn(order);
        if (sampling == Sampling::uniform) {
          CHECK(times.size() == labels.size());  // nothing is left out
          for (const auto& [sample, count] : times) CHECK(count <= 2);
        }
      }
    }
}

TEST_CASE("sampler: inverse frequency shows classes equally often, in an epoch of the same length") {
  const auto labels = labels_of({3, 60, 17, 0, 9});
  const Sampler sampler(labels, 5, {.sampling = Sampling::inverse_frequency, .seed = 1});
  REQUIRE(sampler.epoch_size() == 89);
  std::set<std::uint32_t> seen_of_large;
  for (std::uint32_t epoch = 0; epoch < 8; ++epoch) {
    const auto order = draw(sampler, epoch);
    std::map<std::int32_t, int> per_class;
    for (const Draw& d : order) ++per_class[labels[d.sample]];
    CHECK(per_class.size() == 4);
    for (const auto& [label, count] : per_class) CHECK((count == 22 || count == 23));
    for (const auto& [sample, count] : times_drawn(order)) {
      if (labels[sample] == 0) CHECK((count == 7 || count == 8));  // 22 or 23 draws of three images
      if (labels[sample] == 1) {
        CHECK(count == 1);
        seen_of_large.insert(sample);
      }
    }
  }
  CHECK(seen_of_large.size() > 50);  // each epoch another part of the 60
}

TEST_CASE("sampler: expected positives against counting, and against the closed form") {
  const auto labels = labels_of({50, 50, 50, 50});
  const SamplerOptions options{.batch_size = 20, .seed = 2};
  const PositiveStatistics two = expected_positives(Sampler(labels, 4, options), labels, 20, 2);
  // One view of the same image, and two of each of the 19 others of the same class: 49 of the 199 other images
  // are of this class.
  CHECK(two.mean == doctest::Approx(1 + 2 * 19 * 49.0 / 199).epsilon(0.1));
  CHECK(two.without == 0);

  std::vector<std::int32_t> all_different(64);
  for (std::int32_t i = 0; i < 64; ++i) all_different[static_cast<std::size_t>(i)] = i;
  const PositiveStatistics none = expected_positives(Sampler(all_different, 64, options), all_different, 20, 1);
  CHECK(none.mean == 0);
  CHECK(none.without == 1);
  const PositiveStatistics views =
      expected_positives(Sampler(all_different, 64, options), all_different, 20, 3);
  CHECK(views.mean == 2);
  CHECK(views.alone == 1);
  CHECK(views.without == 0);

  std::vector<std::int32_t> pairs;
  for (std::int32_t i = 0; i < 200; ++i) pairs.push_back(i / 2);
  const SamplerOptions grouped{.per_class = 2, .batch_size = 20, .seed = 2};
  CHECK(expected_positives(Sampler(pairs, 100, options), pairs, 20, 1).without > 0.7);
  const PositiveStatistics together = expected_positives(Sampler(pairs, 100, grouped), pairs, 20, 1);
  CHECK(together.mean == 1);
  CHECK(together.without == 0);
}

TEST_CASE("sampler: options that do not fit") {
  const auto labels = labels_of({5, 5});
  const auto error = [&](SamplerOptions o) { return error_of([&] { Sampler(labels, 2, o); }); };
  CHECK(error({.per_class = 3, .batch_size = 8})
            .find("3 images of a class together do not divide a batch size of 8") == 0);
  CHECK(error({.per_class = 0}) == "0 images of a class together: expected 1 or more");
  CHECK(error({.per_class = 4, .batch_size = 8}) == "no error");
  CHECK(error_of([] { parse_sampling("weighted"); }) ==
        "unknown sampling weighted: expected uniform or inverse-frequency");
  CHECK(parse_sampling("inverse-frequency") == Sampling::inverse_frequency);
}
