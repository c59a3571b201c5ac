// An index in files: what search finds is what plain loops find, whatever the segments; and files that are damaged, half written or
// another program's are refused by name.
#include "../../engine/temporary_folder.h"
#include "../../errors.h"
#include "small_index.h"

#include <kindred/data/npz/npy_file.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cstring>
#include <functional>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using test::code_of;
using test::error_of;

constexpr std::int64_t dim = 12;

bool can_search() {
  if (third_party::has_faiss()) return true;
  MESSAGE("skipped: built without FAISS");
  return false;
}

std::vector<FoundImages> search_in(const fs::path& folder, std::span<const float> queries, std::int64_t each,
                                   const third_party::SearchEffort& effort = {}) {
  SimilarityIndex index = SimilarityIndex::open(folder);
  if (effort.nprobe > 0 || effort.ef_search > 0) index.set_effort(effort);
  return index.search(queries, each);
}

void check_found(const std::vector<FoundImages>& found, std::span<const float> bank,
                 std::span<const float> queries, std::int64_t each) {
  REQUIRE(std::ssize(found) == std::ssize(queries) / dim);
  for (std::size_t q = 0; q < found.size(); ++q) {
    const FoundImages expected = plainly_found(bank, queries.subspan(q * dim, dim), each);
    REQUIRE(found[q].size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CHECK(found[q][i].row == expected[i].row);
      CHECK(found[q][i].similarity == doctest::Approx(expected[i].similarity).epsilon(1e-5));
    }
  }
}

// Changes one byte of a file, from its begin or, below 0, from its end.
void flip_byte(const fs::path& file, std::ptrdiff_t at) {
  std::string bytes = read_bytes(file);
  char& byte =
      at < 0 ? bytes[bytes.size() - static_cast<std::size_t>(-at)] : bytes[static_cast<std::size_t>(at)];
  byte = static_cast<char>(byte ^ 0x10);
  write_bytes(file, bytes);
}

void change_index(const fs::path& folder, const std::function<void(nlohmann::json&)>& change) {
  nlohmann::json index = parse_json(read_bytes(folder / "index.json"));
  change(index);
  write_bytes(folder / "index.json", index.dump());
}

TEST_CASE("index: a table in a .npy file is what NumPy writes, and is read back") {
  const TemporaryFolder folder;
  const std::vector<float> values = drawn_unit_rows(5, 3, 1);
  const std::string path = folder / "t.npy";
  NpyWriter writer(path, 3);
  writer.append(std::span(values).first(6));
  writer.append(std::span(values).subspan(6));
  CHECK(!fs::exists(path));
  writer.commit();
  const std::string bytes = read_bytes(path);
  std::string header =
      std::string("\x93NUMPY\x01\0\x76\0", 10) + "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 3), }";
  header.resize(127, ' ');
  CHECK(bytes.substr(0, 128) == header + "\n");
  CHECK(bytes.size() == writer.bytes());
  CHECK(bytes.size() == npy_bytes(5, 3));
  const MappedNpy read(path, 5, 3, "advice");
  CHECK(std::vector<float>(read.values().begin(), read.values().end()) == values);
  CHECK(error_of([&] { MappedNpy(path, 5, 4, "what to do"); }).find("; what to do") != std::string::npos);
  CHECK(code_of([&] { MappedNpy(path, 3, 5, ""); }) == ExitCode::file);  // as many bytes, another shape
  CHECK(!npy_bytes(std::int64_t{1} << 40, std::int64_t{1} << 40).has_value());
}

TEST_CASE("index: search finds what plain loops find, in one segment and in several") {
  if (!can_search()) return;
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(90, dim, 2), queries = drawn_unit_rows(7, dim, 3);
  write_small_index(folder / "one", bank, dim, {90});
  write_small_index(folder / "three", bank, dim, {40, 1, 49});
  for (const char* name : {"one", "three"})
    for (const std::int64_t each : {1, 10, 90})
      check_found(search_in(folder / name, queries, each), bank, queries, each);
  CHECK(search_in(folder / "three", queries, 1000).front().size() == 90);  // all that there are
  // Each row finds itself.
  const std::vector<FoundImages> own = search_in(folder / "three", bank, 1);
  for (std::size_t row = 0; row < own.size(); ++row) {
    CHECK(own[row][0].row == static_cast<std::int64_t>(row));
    CHECK(own[row][0].similarity == doctest::Approx(1).epsilon(1e-6));
  }
}

TEST_CASE("index: what a row says about its image, and its picture") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(20, dim, 4);
  write_small_index(folder / "i", bank, dim, {11, 9});
  const SimilarityIndex index = SimilarityIndex::open(folder / "i");
  REQUIRE(index.rows() == 20);
  for (std::int64_t row = 0; row < 20; ++row) {
    CHECK(index.image(row).path == drawn_image(row).path);
    CHECK(index.image(row).class_name == drawn_image(row).class_name);
    CHECK(index.image(row).part == drawn_image(row).part);
    const auto& segment = *index.segments()[row < 11 ? 0 : 1];
    const auto jpeg = segment.jpeg(row < 11 ? row : row - 11);
    CHECK(std::vector<std::uint8_t>(jpeg.begin(), jpeg.end()) == drawn_jpeg(row));
  }
  index.check_all();
  CHECK(index.content().encoder.info.pixels == cifar10_pixels);
  CHECK(index.content().encoder.info.stem == Stem::cifar);
}

TEST_CASE("index: equal images come in their order, also across segments") {
  if (!can_search()) return;
  const TemporaryFolder folder;
  const std::vector<float> one = drawn_unit_rows(1, dim, 5);
  std::vector<float> bank;
  for (int row = 0; row < 30; ++row) bank.insert(bank.end(), one.begin(), one.end());
  write_small_index(folder / "i", bank, dim, {10, 20});
  const FoundImages found = search_in(folder / "i", one, 15).front();
  REQUIRE(found.size() == 15);
  for (std::size_t i = 0; i < found.size(); ++i) CHECK(found[i].row == static_cast<std::int64_t>(i));
}

TEST_CASE("index: IVF that visits all lists, and rows behind it, find what flat search finds") {
  if (!can_search()) return;
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(400, dim, 6), queries = drawn_unit_rows(9, dim, 7);
  write_small_index(folder / "ivf", bank, dim, {250, 100, 50}, "IVF5,Flat", 2);
  check_found(search_in(folder / "ivf", queries, 12, {.nprobe = 5}), bank, queries, 12);
  CHECK(code_of([&] { search_in(folder / "ivf", queries, 1, {.ef_search = 9}); }) == ExitCode::usage);
  write_small_index(folder / "flat", bank, dim, {400});
  CHECK(code_of([&] { search_in(folder / "flat", queries, 1, {.nprobe = 9}); }) == ExitCode::usage);
  // Codes of fewer bits: what they find is compared again, so the similarities are exact.
  write_small_index(folder / "codes", bank, dim, {400}, "IVF4,SQ8", 1);
  for (const FoundImages& found : search_in(folder / "codes", bank, 1, {.nprobe = 4}))
    CHECK(found[0].similarity == doctest::Approx(1).epsilon(1e-6));
  CHECK(error_of([&] {
          write_small_index(folder / "x", bank, dim, {400}, "IVF5,Nonsense", 1);
        }).find("Nonsense") != std::string::npos);
  CHECK(!fs::exists(folder / "x"));
}

TEST_CASE("index: up to a million images flat, then lists of a power of two next to four roots") {
  CHECK(usual_factory(1) == "Flat");
  CHECK(usual_factory(1'000'000) == "Flat");
  CHECK(usual_factory(1'000'001) == "IVF4096,Flat");
  CHECK(usual_factory(10'000'000) == "IVF16384,Flat");
  CHECK(usual_factory(100'000'000) == "IVF32768,Flat");
}

TEST_CASE("index: segments written as one give the bytes that were written as one") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(30, dim, 8);
  write_small_index(folder / "two", bank, dim, {13, 17});
  write_small_index(folder / "one", bank, dim, {30});
  const SimilarityIndex two = SimilarityIndex::open(folder / "two");
  SegmentWriter merged(folder.path, 7, dim, true);
  for (const auto& segment : two.segments()) merged.append(*segment);
  const IndexSegment segment = merged.commit(), whole = read_index(folder / "one").segments[0];
  CHECK(segment.rows == 30);
  CHECK(segment.features.xxh3 == whole.features.xxh3);
  CHECK(segment.rows_file.xxh3 == whole.rows_file.xxh3);
  CHECK(segment.thumbnails->xxh3 == whole.thumbnails->xxh3);
  CHECK(read_bytes(folder / "features-007.npy") == read_bytes(folder / "one" / "features-000.npy"));
  CHECK(read_bytes(folder / "thumbnails-007.bin") == read_bytes(folder / "one" / "thumbnails-000.bin"));
}

TEST_CASE("index: every damaged file is refused by name, and says what to do") {
  const TemporaryFolder folder;
  const fs::path path = folder / "i";
  const std::vector<float> bank = drawn_unit_rows(8, dim, 9);
  const auto expect_refused = [&](const std::string& name) {
    const auto open = [&] { SimilarityIndex::open(path).check_all(); };
    CHECK(code_of(open) == ExitCode::file);
    const std::string line = error_of(open);
    CAPTURE(line);
    CHECK(line.find(name) != std::string::npos);
    CHECK(line.find("similar index") != std::string::npos);
  };
  const auto anew = [&] {
    fs::remove_all(path);
    write_small_index(path, bank, dim, {8});
  };
  for (const char* name : {"features-000.npy", "rows-000.jsonl", "thumbnails-000.bin"}) {
    CAPTURE(name);
    anew();
    fs::remove(path / name);
    expect_refused(name);
    anew();
    fs::resize_file(path / name, fs::file_size(path / name) - 1);
    expect_refused(name);
    anew();
    fs::resize_file(path / name, 0);
    expect_refused(name);
    for (const std::ptrdiff_t at : {0, 9, -1, -20}) {
      anew();
      flip_byte(path / name, at);
      expect_refused(name);
    }
    anew();
    fs::remove(path / name);
    fs::create_directory(path / name);
    expect_refused(name);
  }
  if (!can_search()) return;
  fs::remove_all(path);
  write_small_index(path, drawn_unit_rows(100, dim, 10), dim, {100}, "IVF2,Flat", 1);
  flip_byte(path / "search-001.faiss", 40);
  expect_refused("search-001.faiss");
  fs::resize_file(path / "search-001.faiss", 100);
  expect_refused("search-001.faiss");
}

TEST_CASE("index: index.json is not trusted") {
  const TemporaryFolder folder;
  const fs::path path = folder / "i";
  const std::vector<float> bank = drawn_unit_rows(8, dim, 11);
  const auto refused = [&](const std::function<void(nlohmann::json&)>& change) {
    fs::remove_all(path);
    write_small_index(path, bank, dim, {5, 3});
    change_index(path, change);
    return code_of([&] { SimilarityIndex::open(path); }) == ExitCode::file;
  };
  using Json = nlohmann::json;
  CHECK(!refused([](Json&) {}));
  CHECK(refused([](Json& j) { j.erase("dim"); }));
  CHECK(refused([](Json& j) { j["dim"] = 13; }));
  CHECK(refused([](Json& j) { j["dim"] = -1; }));
  CHECK(refused([](Json& j) { j["dim"] = std::uint64_t{1} << 63; }));
  CHECK(refused([](Json& j) { j["rows"] = 9; }));
  CHECK(refused([](Json& j) { j["version"] = 2; }));
  CHECK(refused([](Json& j) { j["factory"] = "IVF2,Flat"; }));
  CHECK(refused([](Json& j) { j["format"] = "something else"; }));
  CHECK(refused([](Json& j) { j["segments"] = Json::array(); }));
  CHECK(refused([](Json& j) { j["segments"][1] = j["segments"][0]; }));
  CHECK(refused([](Json& j) { j["segments"][0]["rows"] = 4'000'000'000u; }));
  CHECK(refused([](Json& j) { j["segments"][0]["features"]["file"] = "../../features-000.npy"; }));
  CHECK(refused([](Json& j) { j["segments"][0]["features"]["file"] = "rows-000.jsonl"; }));
  CHECK(refused([](Json& j) { j["segments"][0]["features"]["xxh3"] = "no"; }));
  CHECK(refused([](Json& j) { j["segments"][0]["table"]["bytes"] = 1; }));
  CHECK(refused([](Json& j) { j["encoder"]["model"] = 5; }));
  CHECK(refused([](Json& j) { j["encoder"]["image_size"] = 1'000'000; }));
  CHECK(refused([](Json& j) { j["encoder"]["xxh3"] = ""; }));
  CHECK(refused([](Json& j) { j = Json::array(); }));
  for (const char* text : {"", "{", "[[[[[[[[[[[[[[[[[[[[", "\xff\xfe", "null"}) {
    write_bytes(path / "index.json", text);
    CHECK(code_of([&] { SimilarityIndex::open(path); }) == ExitCode::file);
  }
  // Cut anywhere, and with any byte changed: opened or refused, nothing else.
  fs::remove_all(path);
  write_small_index(path, bank, dim, {5, 3});
  const std::string whole = read_bytes(path / "index.json");
  for (std::size_t at = 0; at + 2 < whole.size(); at += 7) {
    write_bytes(path / "index.json", whole.substr(0, at));
    CHECK(code_of([&] { SimilarityIndex::open(path); }) == ExitCode::file);
    write_bytes(path / "index.json", whole);
    flip_byte(path / "index.json", static_cast<std::ptrdiff_t>(at));
    const ExitCode code = code_of([&] { SimilarityIndex::open(path); });
    CHECK((code == ExitCode::ok || code == ExitCode::file));
  }
}

TEST_CASE("index: a folder is taken if it is new, empty or half written, and no other") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(6, dim, 12);
  const auto make = [&](const fs::path& path) {
    return code_of([&] { write_small_index(path, bank, dim, {6}); });
  };
  CHECK(make(folder / "a" / "b") == ExitCode::ok);
  CHECK(make(folder / "a" / "b") == ExitCode::usage);  // it holds an index
  fs::create_directory(folder / "empty");
  CHECK(make(folder / "empty") == ExitCode::ok);
  fs::create_directory(folder / "full");
  write_bytes(folder / "full" / "features-000.npy", "mine");
  CHECK(make(folder / "full") == ExitCode::usage);
  CHECK(read_bytes(folder / "full" / "features-000.npy") == "mine");
  write_bytes(folder / "file", "mine");
  CHECK(make(folder / "file") == ExitCode::usage);
  CHECK(make("") == ExitCode::usage);
  // A damaged index is not half written: nobody takes its place.
  flip_byte(folder / "a" / "b" / "index.json", 40);
  CHECK(make(folder / "a" / "b") == ExitCode::usage);
  CHECK(fs::exists(folder / "a" / "b" / "features-000.npy"));

  // Killed: index.json says that it is not complete, and files lie beside it.
  const fs::path half = folder / "half";
  fs::create_directory(half);
  write_index(half, {.is_complete = false});
  write_bytes(half / "features-004.npy", "part");
  write_bytes(half / ".kindred-1-00000000.tmp", "part");
  CHECK(error_of([&] { SimilarityIndex::open(half); }).find("half written") != std::string::npos);
  CHECK(make(half) == ExitCode::ok);
  CHECK(!fs::exists(half / "features-004.npy"));
  CHECK(SimilarityIndex::open(half).rows() == 6);
}

TEST_CASE("index: what was not finished leaves nothing, and the earlier index as it was") {
  const TemporaryFolder folder;
  const std::vector<float> bank = drawn_unit_rows(6, dim, 13);
  const fs::path path = folder / "new" / "index";
  {
    IndexFolder begun = IndexFolder::made(path);
    CHECK(error_of([&] { SimilarityIndex::open(path); }).find("half written") != std::string::npos);
    CHECK(error_of([&] { IndexFolder::made(path); }).find("another `similar`") != std::string::npos);
    write_segment(path, 0, bank, dim, 0);
  }
  CHECK(!fs::exists(folder / "new"));
  write_small_index(path, bank, dim, {6});
  write_bytes(path / "notes.txt", "mine");
  const std::string before = read_bytes(path / "index.json");
  {
    IndexFolder adding = IndexFolder::of(path);
    CHECK(code_of([&] { IndexFolder::of(path); }) == ExitCode::usage);
    CHECK(adding.next_number() == 1);
    write_segment(path, 1, bank, dim, 6);
    SegmentWriter unfinished(path, 2, dim, true);
  }
  CHECK(read_bytes(path / "index.json") == before);
  CHECK(!fs::exists(path / "features-001.npy"));
  CHECK(read_bytes(path / "notes.txt") == "mine");
  CHECK(SimilarityIndex::open(path).rows() == 6);
  // A damaged index keeps its files.
  flip_byte(path / "index.json", 0);
  CHECK(code_of([&] { IndexFolder::of(path); }) == ExitCode::file);
  CHECK(fs::exists(path / "features-000.npy"));
  CHECK(code_of([&] { IndexFolder::of(folder / "none"); }) == ExitCode::file);
}

TEST_CASE("index: names of files, and places where pages may not be written") {
  for (const char* name : {"features-000.npy", "rows-017.jsonl", "thumbnails-1234.bin", "search-001.faiss"})
    CHECK(number_in_name(name).has_value());
  CHECK(number_in_name("rows-017.jsonl") == 17);
  for (const char* name :
       {"features-0.npy", "features-.npy", "features-00a.npy", "features--01.npy", "index.json",
        "features-000.npy.bak", "xfeatures-000.npy", "features-99999999999999.npy", ""})
    CHECK(!number_in_name(name).has_value());
  const TemporaryFolder folder;
  write_small_index(folder / "i", drawn_unit_rows(2, dim, 1), dim, {2});
  CHECK(code_of([&] { check_not_in_index("--html", folder / "i" / "page.html"); }) == ExitCode::usage);
  check_not_in_index("--html", folder / "page.html");
  check_not_in_index("--html", "");
}

TEST_CASE("index: places of pictures that lie outside of their file are told, and not read") {
  const TemporaryFolder folder;
  const fs::path path = folder / "i";
  constexpr std::int64_t rows = 4;
  write_small_index(path, drawn_unit_rows(rows, dim, 21), dim, {rows});
  const fs::path file = path / "thumbnails-000.bin";
  const std::string whole = read_bytes(file);
  const auto with_end = [&](std::int64_t row, std::uint64_t end) {
    std::string bytes = whole;
    std::memcpy(bytes.data() + bytes.size() - static_cast<std::size_t>(rows - row) * sizeof end, &end,
                sizeof end);
    write_bytes(file, bytes);
  };
  const std::size_t data = whole.size() - rows * sizeof(std::uint64_t);
  for (const std::uint64_t end : {std::uint64_t{data} + 1, std::uint64_t{data} + 1000, ~std::uint64_t{0}}) {
    with_end(rows - 1, end);
    const SimilarityIndex index = SimilarityIndex::open(path);
    CHECK(code_of([&] { index.picture(0); }) == ExitCode::ok);
    CHECK(code_of([&] { index.picture(rows - 1); }) == ExitCode::file);
  }
  with_end(1, data);  // beyond where the next one ends
  CHECK(code_of([&] { SimilarityIndex::open(path).picture(2); }) == ExitCode::file);
  write_bytes(file, whole);
  for (std::int64_t row = 0; row < rows; ++row)
    CHECK(code_of([&] { SimilarityIndex::open(path).picture(row); }) == ExitCode::ok);
}

TEST_CASE("index: who searches while another adds and merges always has a whole index") {
  if (!can_search()) return;
  const TemporaryFolder folder;
  const fs::path path = folder / "i";
  constexpr std::int64_t rows = 20, rounds = 12;
  const std::vector<float> bank = drawn_unit_rows(rows * (rounds + 1), dim, 14);
  const auto part = [&](std::int64_t from, std::int64_t count) {
    return std::span(bank).subspan(static_cast<std::size_t>(from * dim), static_cast<std::size_t>(count * dim));
  };
  write_small_index(path, part(0, rows), dim, {rows});
  std::atomic<bool> is_over = false;
  std::atomic<int> searches = 0;
  std::atomic<bool> has_problem = false;
  std::string problem;  // read when the thread has ended
  std::thread searcher([&] {
    try {
      while (!is_over) {
        const SimilarityIndex index = SimilarityIndex::open(path);
        const FoundImages found = index.search(part(3, 1), 1).front();
        if (found.size() != 1 || found[0].row != 3 || index.image(3).path != drawn_image(3).path)
          throw Error(ExitCode::internal, "another row was found");
        ++searches;
      }
    } catch (const Error& error) {
      problem = error.what();
      has_problem = true;
    }
  });
  for (std::int64_t round = 1; round <= rounds; ++round) {
    IndexFolder index = IndexFolder::of(path);
    IndexContent content = index.content();
    if (round % 4 == 0) {  // merged
      SegmentWriter merged(path, index.next_number(), dim, true);
      for (const IndexSegment& segment : content.segments) merged.append(OpenSegment(path, segment, dim));
      content.segments = {merged.commit()};
    }
    content.segments.push_back(
        write_segment(path, index.next_number(), part(round * rows, rows), dim, round * rows));
    index.commit(content);
  }
  while (searches == 0 && !has_problem) std::this_thread::yield();
  is_over = true;
  searcher.join();
  CHECK(problem == "");
  CHECK(searches > 0);
  const std::vector<float> queries = drawn_unit_rows(3, dim, 15);
  check_found(search_in(path, queries, 9), bank, queries, 9);
}

}  // namespace
}  // namespace kindred
