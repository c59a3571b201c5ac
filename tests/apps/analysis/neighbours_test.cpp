// Nearest rows against plain loops in double precision; ties, copies, and tables of one row.
#include "../../errors.h"

#include <kindred/apps/analysis/neighbours.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/random/philox.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace kindred {
namespace {

std::vector<float> random_rows(std::int64_t count, std::int64_t dim, std::uint32_t which) {
  RandomStream random(31, Purpose::test, which);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count * dim; ++i) values.push_back(random.normal());
  return values;
}

bool can_search() {
  if (third_party::has_faiss()) return true;
  MESSAGE("skipped: this build has no FAISS");
  return false;
}

double plain_cosine(const std::vector<float>& a, std::int64_t i, const std::vector<float>& b, std::int64_t j,
                    std::int64_t dim) {
  double product = 0, of_a = 0, of_b = 0;
  for (std::int64_t d = 0; d < dim; ++d) {
    const double x = a[static_cast<std::size_t>(i * dim + d)], y = b[static_cast<std::size_t>(j * dim + d)];
    product += x * y;
    of_a += x * x;
    of_b += y * y;
  }
  return product / std::sqrt(of_a * of_b);
}

// The rows of b by their cosine with row i of a; of equal ones the earlier first. `skipped` is left out.
std::vector<std::pair<double, std::int64_t>> plain_order(const std::vector<float>& a, std::int64_t i,
                                                         const std::vector<float>& b, std::int64_t dim,
                                                         std::int64_t skipped = -1) {
  std::vector<std::pair<double, std::int64_t>> order;
  for (std::int64_t j = 0; j < std::ssize(b) / dim; ++j)
    if (j != skipped) order.emplace_back(-plain_cosine(a, i, b, j, dim), j);
  std::sort(order.begin(), order.end());
  return order;
}

// Two rows may change places only where their cosines differ by less than what single precision tells apart.
void check_as_plain(const Neighbours& found, const std::vector<float>& queries, const std::vector<float>& bank,
                    std::int64_t dim, bool leaves_itself_out) {
  std::int64_t same = 0;
  for (std::int64_t q = 0; q < found.queries(); ++q) {
    const auto order = plain_order(queries, q, bank, dim, leaves_itself_out ? q : -1);
    for (std::size_t i = 0; i < static_cast<std::size_t>(found.each); ++i) {
      const std::int32_t row = found.rows_of(q)[i];
      CHECK(plain_cosine(queries, q, bank, row, dim) == doctest::Approx(-order[i].first).epsilon(1e-6));
      CHECK(found.similarity_of(q)[i] == doctest::Approx(-order[i].first).epsilon(1e-6));
      same += row == order[i].second;
    }
  }
  CHECK(static_cast<double>(same) >= 0.999 * static_cast<double>(found.queries() * found.each));
}

TEST_CASE("neighbours of a table: random rows, against plain loops") {
  if (!can_search()) return;
  const std::int64_t dim = 24;
  const std::vector<float> bank = random_rows(1500, dim, 0),
                           queries = random_rows(1100, dim, 1);  // a block is 1024
  const std::vector<float> keys = unit_rows(bank, dim), asked = unit_rows(queries, dim);
  std::vector<std::int64_t> progress;
  const Neighbours found = nearest(keys, asked, dim, 9, [&](std::int64_t done, std::int64_t all) {
    CHECK(all == 1100);
    progress.push_back(done);
  });
  REQUIRE(found.queries() == 1100);
  REQUIRE(found.each == 9);
  check_as_plain(found, queries, bank, dim, false);
  CHECK(std::is_sorted(progress.begin(), progress.end()));
  CHECK(progress.size() > 1);
  CHECK(progress.back() == 1100);
  const Neighbours others = nearest_others(keys, dim, 5);
  REQUIRE(others.queries() == 1500);
  check_as_plain(others, bank, bank, dim, true);
}

TEST_CASE("neighbours of a table: all of them, and the only other one") {
  if (!can_search()) return;
  const std::vector<float> bank = random_rows(40, 6, 2), keys = unit_rows(bank, 6);
  check_as_plain(nearest(keys, keys, 6, 40), bank, bank, 6, false);
  check_as_plain(nearest_others(keys, 6, 39), bank, bank, 6, true);
  const Neighbours two = nearest_others(std::vector<float>{1, 0, 0, 1}, 2, 1);
  CHECK(two.rows == std::vector<std::int32_t>{1, 0});
  CHECK(two.similarity == std::vector<float>{0, 0});
}

// Four directions, each many times: far more equally near rows than FAISS is asked for.
TEST_CASE("neighbours of a table: of equal cosines the earlier row comes first, however many there are") {
  if (!can_search()) return;
  for (const std::int64_t rows : {60, 6000}) {
    CAPTURE(rows);
    std::vector<float> bank;
    std::vector<std::vector<std::int32_t>> of_direction(4);
    RandomStream random(32, Purpose::test);
    for (std::int64_t r = 0; r < rows; ++r) {
      const auto direction = static_cast<std::size_t>(random.below(4));
      for (std::size_t d = 0; d < 4; ++d) bank.push_back(d == direction ? 1.0f : 0.0f);
      of_direction[direction].push_back(static_cast<std::int32_t>(r));
    }
    const std::vector<float> queries = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    const Neighbours found = nearest(bank, queries, 4, 5);
    for (std::size_t q = 0; q < 4; ++q)
      for (std::size_t i = 0; i < 5; ++i) {
        CHECK(found.rows_of(static_cast<std::int64_t>(q))[i] == of_direction[q][i]);
        CHECK(found.similarity_of(static_cast<std::int64_t>(q))[i] == 1);
      }
  }
}

TEST_CASE("neighbours of a table: all rows equal, each is left out of its own") {
  if (!can_search()) return;
  std::vector<float> bank;
  for (int r = 0; r < 70; ++r) bank.insert(bank.end(), {3, -1, 2});
  const Neighbours others = nearest_others(unit_rows(bank, 3), 3, 4);
  for (std::int32_t r = 0; r < 70; ++r) {
    std::vector<std::int32_t> expected;
    for (std::int32_t other = 0; expected.size() < 4; ++other)
      if (other != r) expected.push_back(other);
    CHECK(std::ranges::equal(others.rows_of(r), expected));
    for (const float cosine : others.similarity_of(r)) CHECK(cosine == doctest::Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("neighbours of a table: the number of threads does not matter") {
  if (!can_search()) return;
  const std::vector<float> keys = unit_rows(random_rows(700, 33, 3), 33);
  const int threads = compute_threads();
  set_compute_threads(1);
  const Neighbours alone = nearest_others(keys, 33, 12);
  set_compute_threads(3);
  const Neighbours by_three = nearest_others(keys, 33, 12);
  set_compute_threads(threads);
  CHECK(alone.rows == by_three.rows);
  CHECK(alone.similarity == by_three.similarity);
}

TEST_CASE("neighbours of a table: what cannot be asked for") {
  if (!can_search()) return;
  const std::vector<float> one = {1, 0}, three = {1, 0, 0, 1, -1, 0};
  CHECK(test::code_of([&] { nearest_others(one, 2, 1); }) == ExitCode::data);
  CHECK(test::error_of([&] { nearest_others(one, 2, 1); }).find("at least 2") != std::string::npos);
  CHECK(test::code_of([&] { nearest_others(three, 2, 3); }) == ExitCode::usage);
  CHECK(test::code_of([&] { nearest_others(three, 2, 0); }) == ExitCode::usage);
  CHECK(test::code_of([&] { nearest(three, one, 2, 4); }) == ExitCode::usage);
  CHECK(nearest(three, std::vector<float>{}, 2, 2).queries() == 0);
  // What the progress throws, for example after a signal, reaches the caller.
  CHECK_THROWS_AS(
      nearest(three, one, 2, 1, [](std::int64_t, std::int64_t) { throw std::runtime_error("stop"); }),
      std::runtime_error);
}

TEST_CASE("unit rows: length 1 whatever the numbers; zeros stay") {
  const std::vector<float> rows = unit_rows(std::vector<float>{3, 4, 0, 0, 3e30f, -4e30f, 3e-30f, 4e-30f}, 2);
  const std::vector<float> expected = {0.6f, 0.8f, 0, 0, 0.6f, -0.8f, 0.6f, 0.8f};
  for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i] == doctest::Approx(expected[i]).epsilon(1e-6));
}

}  // namespace
}  // namespace kindred
