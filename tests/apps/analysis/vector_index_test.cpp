// FAISS's indices through the wrapper: what they find, what files they make, and what they refuse.
#include "../../engine/temporary_folder.h"
#include "../../errors.h"

#include <kindred/engine/random/philox.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <set>
#include <stdexcept>

namespace kindred {
namespace {

using third_party::FoundRows;
using third_party::VectorIndex;

constexpr std::int64_t index_dim = 16;

bool has_indices() {
  if (third_party::has_faiss()) return true;
  MESSAGE("skipped: this build has no FAISS");
  CHECK(test::code_of([] { VectorIndex(4, "Flat"); }) == ExitCode::usage);
  CHECK(test::error_of([] { VectorIndex(4, "Flat"); }).find("FAISS") != std::string::npos);
  return false;
}

std::vector<float> drawn_rows(std::int64_t count, std::uint32_t which) {
  RandomStream random(33, Purpose::test, which);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count * index_dim; ++i) values.push_back(random.normal());
  return values;
}

VectorIndex made_index(const std::string& factory, const std::vector<float>& rows) {
  VectorIndex index(index_dim, factory);
  if (index.needs_training()) index.train(rows);
  index.add(rows);
  return index;
}

// The row with the largest inner product, by plain loops.
std::int64_t plain_nearest(const std::vector<float>& rows, const float* query) {
  double best = -1e300;
  std::int64_t nearest = -1;
  for (std::int64_t r = 0; r < std::ssize(rows) / index_dim; ++r) {
    double product = 0;
    for (std::int64_t d = 0; d < index_dim; ++d)
      product += double(query[d]) * rows[static_cast<std::size_t>(r * index_dim + d)];
    if (product > best) {
      best = product;
      nearest = r;
    }
  }
  return nearest;
}

double share_of_nearest(const FoundRows& found, const std::vector<float>& rows,
                        const std::vector<float>& queries) {
  const std::int64_t count = std::ssize(queries) / index_dim;
  std::int64_t right = 0;
  for (std::int64_t q = 0; q < count; ++q)
    right += found.rows[static_cast<std::size_t>(q * found.each)] ==
             plain_nearest(rows, &queries[static_cast<std::size_t>(q * index_dim)]);
  return static_cast<double>(right) / static_cast<double>(count);
}

TEST_CASE("FAISS: flat search finds the largest inner products, from memory that is ours") {
  if (!has_indices()) return;
  const std::vector<float> rows = drawn_rows(3000, 0), queries = drawn_rows(130, 1);
  std::vector<std::int64_t> progress;
  const FoundRows found = third_party::search_all_rows(
      rows, queries, index_dim, 4, [&](std::int64_t done) { progress.push_back(done); }, 50);
  CHECK(share_of_nearest(found, rows, queries) == 1);
  CHECK(progress == std::vector<std::int64_t>{50, 100, 130});
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    double product = 0;
    for (std::size_t d = 0; d < index_dim; ++d)
      product += double(queries[i / 4 * index_dim + d]) *
                 rows[static_cast<std::size_t>(found.rows[i]) * index_dim + d];
    CHECK(found.inner_product[i] == doctest::Approx(product).epsilon(1e-5));
    if (i % 4 > 0) CHECK(found.inner_product[i] <= found.inner_product[i - 1]);
  }
  const FoundRows by_index = made_index("Flat", rows).search(queries, 4);
  CHECK(by_index.rows == found.rows);
  CHECK_THROWS_AS(third_party::search_all_rows(rows, queries, index_dim, 1,
                                               [](std::int64_t) { throw std::runtime_error("stop"); }),
                  std::runtime_error);
}

TEST_CASE(
    "FAISS: lists and links find more of the nearest rows with more effort, and IVF all of them with all "
    "lists") {
  if (!has_indices()) return;
  const std::vector<float> rows = drawn_rows(4000, 2), queries = drawn_rows(300, 3);
  VectorIndex lists = made_index("IVF32,Flat", rows);
  CHECK(lists.lists() == 32);
  CHECK(!lists.has_links());
  const double with_one = share_of_nearest(lists.search(queries, 1), rows, queries);
  CHECK(with_one > 0.1);
  CHECK(with_one < 0.95);
  lists.set_effort({.nprobe = 8});
  CHECK(share_of_nearest(lists.search(queries, 1), rows, queries) > with_one);
  lists.set_effort({.nprobe = 1000});  // more than there are
  CHECK(share_of_nearest(lists.search(queries, 1), rows, queries) == 1);

  VectorIndex links = made_index("HNSW16", rows);
  CHECK(links.has_links());
  CHECK(links.lists() == 0);
  CHECK(!links.needs_training());
  links.set_effort({.ef_search = 200});
  CHECK(share_of_nearest(links.search(queries, 1), rows, queries) > 0.9);
}

TEST_CASE("FAISS: what one list lacks is row -1") {
  if (!has_indices()) return;
  const std::vector<float> rows = drawn_rows(60, 4);
  const FoundRows found = made_index("IVF20,Flat", rows).search(rows, 60);
  std::int64_t missing = 0;
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    if (found.rows[i] >= 0) continue;
    ++missing;
    CHECK(found.inner_product[i] == 0);
  }
  CHECK(missing > 0);
  CHECK(missing < 60 * 60);
}

TEST_CASE("FAISS: an index that is written and opened finds the same, mapped or whole, and goes on growing") {
  if (!has_indices()) return;
  const TemporaryFolder folder;
  const std::vector<float> rows = drawn_rows(900, 5), queries = drawn_rows(40, 6), more = drawn_rows(100, 7);
  for (const std::string factory : {"Flat", "IVF8,Flat", "IVF8,SQ8", "HNSW8", "IVF16_HNSW8,Flat"}) {
    CAPTURE(factory);
    const VectorIndex index = made_index(factory, rows);
    const FoundRows expected = index.search(queries, 6);
    const auto path = folder / "index";
    index.write(path);
    for (const auto access : {VectorIndex::Access::mapped, VectorIndex::Access::whole}) {
      const VectorIndex read = VectorIndex::open(path, access);
      CHECK(read.size() == 900);
      CHECK(read.dim() == index_dim);
      CHECK(read.search(queries, 6).rows == expected.rows);
    }
    VectorIndex grown = VectorIndex::open(path, VectorIndex::Access::whole);
    grown.add(more);
    CHECK(grown.size() == 1000);
    VectorIndex mapped = VectorIndex::open(path, VectorIndex::Access::mapped);
    CHECK(test::code_of([&] { mapped.add(more); }) == ExitCode::internal);
    if (grown.lists() > 0) grown.set_effort({.nprobe = grown.lists()});
    const FoundRows own = grown.search(more, 1);
    std::int64_t itself = 0;
    for (std::size_t r = 0; r < 100; ++r) itself += own.rows[r] == static_cast<std::int64_t>(900 + r);
    CHECK(itself > 50);  // the longest products are with other rows now and then
  }
}

TEST_CASE("FAISS: rows that are added until a signal arrives are there") {
  if (!has_indices()) return;
  const std::vector<float> rows = drawn_rows(500, 8);
  VectorIndex index(index_dim, "Flat");
  const auto stop = [](std::int64_t done) {
    if (done >= 200) throw std::runtime_error("stop");
  };
  CHECK_THROWS_AS(index.add(rows, stop, 100), std::runtime_error);
  CHECK(index.size() == 200);
}

TEST_CASE("FAISS: factory strings that cannot be, or would take memory beyond reason") {
  if (!has_indices()) return;
  for (const std::string factory :
       {"", "Nonsense", "IVF,", "IVF8", "Flat\n", "IVF99999999,Flat", "IVF123456789012345678901234567890,Flat",
        "HNSW100000", "PQ4x24", "IVF0,Flat", "IMI2x14,Flat", "Flat Flat"}) {
    CAPTURE(factory);
    CHECK(test::code_of([&] { VectorIndex(index_dim, factory); }) == ExitCode::usage);
  }
  CHECK(test::code_of([] { VectorIndex(index_dim, std::string(100000, 'F')); }) == ExitCode::usage);
  CHECK(test::error_of([] { VectorIndex(index_dim, "Nonsense"); }).find("FAISS says") != std::string::npos);
}

TEST_CASE("FAISS: too few rows to learn from, too many asked for, effort for another kind") {
  if (!has_indices()) return;
  const std::vector<float> rows = drawn_rows(10, 9);
  VectorIndex lists(index_dim, "IVF16,Flat");
  CHECK(lists.needs_training());
  CHECK(test::code_of([&] { lists.train(rows); }) == ExitCode::usage);
  CHECK(test::error_of([&] { lists.train(rows); }).find("10") != std::string::npos);
  VectorIndex flat = made_index("Flat", rows);
  CHECK(test::code_of([&] { flat.search(rows, 11); }) == ExitCode::usage);
  CHECK(test::code_of([&] { flat.search(rows, 0); }) == ExitCode::usage);
  CHECK(test::code_of([&] { flat.set_effort({.nprobe = 2}); }) == ExitCode::usage);
  CHECK(test::code_of([&] { flat.set_effort({.ef_search = 2}); }) == ExitCode::usage);
  CHECK(test::code_of([&] { flat.search(std::vector<float>(17), 1); }) == ExitCode::internal);
  CHECK(test::code_of([&] { flat.write("/no such folder/index"); }) == ExitCode::io);
}

TEST_CASE("FAISS: files whose links or lists cannot be are refused before a search follows them") {
  if (!has_indices()) return;
  const TemporaryFolder folder;
  const auto path = folder / "index";
  const auto line_for = [&](const std::string& bytes, VectorIndex::Access access) -> std::string {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    try {
      VectorIndex::open(path, access);
      return "";
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::file);
      return error.what();
    }
  };
  constexpr std::int32_t beyond = 1000, rows = 50;
  for (const auto access : {VectorIndex::Access::mapped, VectorIndex::Access::whole}) {
    // Every fourth byte in turn begins a number that no row has. Whatever it was, opening ends well or with an Error.
    made_index("HNSW4", drawn_rows(rows, 10)).write(path);
    const std::string links = read_bytes(path);
    int refused_links = 0;
    for (std::size_t at = 0; at + 4 <= links.size(); at += 4) {
      std::string damaged = links;
      std::memcpy(damaged.data() + at, &beyond, sizeof beyond);
      refused_links +=
          line_for(damaged, access).find("the links of this index are damaged") != std::string::npos;
    }
    CHECK(refused_links > rows);  // a row has links, a level and an offset
    // The number of rows stands behind the kind and the width.
    made_index("IVF4,Flat", drawn_rows(rows, 10)).write(path);
    std::string lists = read_bytes(path);
    const std::int64_t more = rows + 1;
    std::memcpy(lists.data() + 8, &more, sizeof more);
    CHECK(line_for(lists, access).find("the lists of this index are damaged") != std::string::npos);
  }
}

TEST_CASE("FAISS: files that are no index, cut, or of another metric") {
  if (!has_indices()) return;
  const TemporaryFolder folder;
  const auto path = folder / "index";
  const auto code_for = [&](const std::string& bytes, VectorIndex::Access access) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return test::code_of([&] { VectorIndex::open(path, access); });
  };
  for (const std::string factory : {"Flat", "IVF4,Flat", "HNSW4"}) {
    CAPTURE(factory);
    made_index(factory, drawn_rows(50, 10)).write(path);
    const std::string whole = read_bytes(path);
    for (const auto access : {VectorIndex::Access::mapped, VectorIndex::Access::whole}) {
      CHECK(code_for(whole, access) == ExitCode::ok);
      for (const std::size_t length : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{20},
                                       whole.size() / 3, whole.size() / 2, whole.size() - 1}) {
        CAPTURE(length);
        CHECK(code_for(whole.substr(0, length), access) == ExitCode::file);
      }
      std::string other = whole;
      other.replace(0, 4, "abcd");
      CHECK(code_for(other, access) == ExitCode::file);
    }
  }
  CHECK(test::code_of([&] { VectorIndex::open(folder / "absent", VectorIndex::Access::whole); }) ==
        ExitCode::file);
  CHECK(test::code_of([&] { VectorIndex::open(folder.path, VectorIndex::Access::mapped); }) == ExitCode::file);
}

}  // namespace
}  // namespace kindred
