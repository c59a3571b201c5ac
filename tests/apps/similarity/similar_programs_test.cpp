// `similar` as a user runs it, on a small set that the test draws, and on features that it makes up.
#include "../programs.h"
#include "indexed_set.h"
#include "small_index.h"

#include <kindred/apps/similarity/index_file.h>
#include <kindred/data/npz/npz.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <signal.h>  // defines: SIGINT, SIGKILL
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// Path and unit features of each image of a part, as embed writes them.
std::map<std::string, std::vector<double>> embedded(const Indexed& t, const std::string& part) {
  const std::string file = t.folder / (part + ".npz");
  expect_good(run_program("embed", t.set + " --encoder " + t.run + " --split " + part + " --out " + file), "");
  const NpzFile npz(file);
  const auto features = npz.read<float>(npz.at("features"));
  const auto paths = npz.read_texts(npz.at("paths"));
  const std::size_t dim = features.size() / paths.size();
  std::map<std::string, std::vector<double>> rows;
  for (std::size_t row = 0; row < paths.size(); ++row) {
    std::vector<double> values(features.begin() + static_cast<std::ptrdiff_t>(row * dim),
                               features.begin() + static_cast<std::ptrdiff_t>((row + 1) * dim));
    double squares = 0;
    for (const double value : values) squares += value * value;
    for (double& value : values) value /= std::sqrt(squares);
    rows[paths[row]] = values;
  }
  return rows;
}

double plain_cosine(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Two groups of ten directions that are near each other; row 3 lies in the first and is labelled as of the second.
std::vector<float> two_groups() {
  std::vector<float> rows = drawn_unit_rows(20, 8, 1);
  for (std::size_t at = 0; at < rows.size(); ++at) rows[at] *= 0.2f;
  for (std::size_t row = 0; row < 20; ++row) rows[row * 8 + (row < 10 ? 0 : 1)] += 1;
  return rows;
}

TEST_CASE("similar: help lists the words, and a word its flags") {
  expect_good(run_program("similar", "--help"), "duplicates");
  expect_good(run_program("similar", "search --help"), "--neighbours");
  expect_good(run_program("similar", "search --help"), "similar search [OPTIONS]");
  expect_good(run_program("kindred", "similar mislabeled --help"), "kindred similar mislabeled");
  expect_good(run_program("kindred", "similar --help"), "kindred similar WORD");
  expect_error(run_program("similar", ""), 2, "similar WORD");
  expect_error(run_program("similar", "serch"), 2, "did you mean search?");
  expect_error(run_program("similar", "''"), 2, "''");
  expect_error(run_program("similar", "search --nosuch"), 2, "--nosuch");
}

TEST_CASE("similar: search for the images of an index names themselves first") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const nlohmann::json answers = search_json(t.index, t.set + "/val " + t.set + "/train", "-k 4");
  REQUIRE(answers.size() == 30);
  for (const auto& answer : answers) {
    REQUIRE(answer["neighbours"].size() == 4);
    CHECK(answer["neighbours"][0]["path"] == answer["path"]);
    CHECK(answer["neighbours"][0]["similarity"].get<double>() == doctest::Approx(1).epsilon(1e-5));
    CHECK(answer["neighbours"][0]["part"] ==
          (answer["path"].get<std::string>().find("/val/") != std::string::npos ? "val" : "train"));
    const fs::path path = answer["path"].get<std::string>();
    CHECK(answer["neighbours"][0]["class"] == path.parent_path().filename().string());
  }
  const std::string one = answers[0]["path"];
  const auto lines = run_program("similar", "search " + t.index + " " + one + " -k 1");
  expect_good(lines,
              one + ":\n  1.0000  " + answers[0]["neighbours"][0]["class"].get<std::string>() + "  " + one);
  const auto csv = run_program("similar", "search " + t.index + " " + one + " -k 1 --csv");
  expect_good(csv, "image,rank,similarity,class,part,path,error\n" + one + ",1,");
}

TEST_CASE("similar: neighbours are those of plain loops over embed's features") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  auto bank = embedded(t, "train");
  const auto queries = embedded(t, "val");
  bank.insert(queries.begin(), queries.end());
  REQUIRE(bank.size() == 30);
  const nlohmann::json answers = search_json(t.index, t.set + "/val", "-k 7");
  REQUIRE(answers.size() == queries.size());
  for (const auto& answer : answers) {
    const auto& query = queries.at(answer["path"]);
    std::vector<double> all;
    for (const auto& [path, row] : bank) all.push_back(plain_cosine(query, row));
    std::sort(all.rbegin(), all.rend());
    for (std::size_t i = 0; i < 7; ++i) {
      const auto& neighbour = answer["neighbours"][i];
      const double similarity = neighbour["similarity"];
      CHECK(similarity == doctest::Approx(all[i]).epsilon(1e-5));
      CHECK(similarity == doctest::Approx(plain_cosine(query, bank.at(neighbour["path"]))).epsilon(1e-5));
    }
  }
}

TEST_CASE("similar: added images are found, and a merge changes no answer") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string index = folder / "grown";
  expect_good(
      run_program("similar", "index " + t.set + " --split train --encoder " + t.run + " --out " + index),
      "24 images");
  const auto added = run_program("similar", "index " + t.set + " --split val --add --out " + index);
  expect_good(added, "6 images more, 30 images in 2 segments");
  const std::string search = "search " + index + " " + t.set + "/val " + t.set + "/train -k 5 --csv";
  const auto before = run_program("similar", search);
  CHECK(before.code == 0);
  expect_good(run_program("similar", "check " + index), "30 images in 2 segments");
  expect_good(run_program("similar", "merge " + index), "30 images in one segment, which were 2 before");
  CHECK(read_index(index).segments.size() == 1);
  CHECK(run_program("similar", search).output == before.output);
  expect_good(run_program("similar", "check " + index), "30 images in 1 segment");
  // The same images in the same order: the same bytes as an index of all of them.
  CHECK(read_index(index).segments[0].rows_file.xxh3 == read_index(t.index).segments[0].rows_file.xxh3);
  const nlohmann::json grown = search_json(index, t.set + "/val", "-k 5"),
                       whole = search_json(t.index, t.set + "/val", "-k 5");
  for (std::size_t i = 0; i < grown.size(); ++i)
    for (std::size_t k = 0; k < 5; ++k)
      CHECK(grown[i]["neighbours"][k]["similarity"].get<double>() ==
            doctest::Approx(whole[i]["neighbours"][k]["similarity"].get<double>()).epsilon(1e-5));
  // Arranged by FAISS, with all lists visited: the same answers.
  expect_good(run_program("similar", "merge " + index + " --factory IVF3,Flat"),
              "searched by FAISS's IVF3,Flat");
  const nlohmann::json by_lists = search_json(index, t.set + "/val", "-k 5 --nprobe 3");
  REQUIRE(by_lists.size() == grown.size());
  for (std::size_t i = 0; i < grown.size(); ++i)
    for (std::size_t k = 0; k < 5; ++k) {
      CHECK(by_lists[i]["neighbours"][k]["path"] == grown[i]["neighbours"][k]["path"]);
      CHECK(by_lists[i]["neighbours"][k]["similarity"].get<double>() ==
            doctest::Approx(grown[i]["neighbours"][k]["similarity"].get<double>()).epsilon(1e-6));
    }
}

TEST_CASE("similar: images without a class in an index leave the classes of the others as they are") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string index = folder / "mixed", table = folder / "found.csv", more = folder / "more";
  expect_good(run_program("similar", "index " + t.set + " --encoder " + t.run + " --out " + index),
              "30 images");
  fs::create_directory(more);
  int copied = 0;
  for (const auto& file : fs::recursive_directory_iterator(t.set + "/val"))
    if (file.is_regular_file()) fs::copy_file(file.path(), more + fmt::format("/{}.jpg", copied++));
  REQUIRE(copied == 6);
  expect_good(run_program("similar", "index " + more + " --add --out " + index), "36 images in 2 segments");
  expect_good(run_program("similar", "outliers " + index + " -k 3 --csv " + table), "36 images");
  std::istringstream rows(read_bytes(table));
  int with_class = 0, without_class = 0;
  std::string row;
  std::getline(rows, row);
  CHECK(row == "rank,distance,z,part,class,path");
  while (std::getline(rows, row)) {
    std::vector<std::string> cells;
    std::istringstream text(row);
    for (std::string cell; std::getline(text, cell, ',');) cells.push_back(cell);
    REQUIRE(cells.size() == 6);
    (cells[4].empty() ? without_class : with_class) += 1;
  }
  CHECK(with_class == 30);
  CHECK(without_class == 6);
  // In lines a sign stands for the class, so that columns stay in their places.
  const auto lines = run_program("similar", "outliers " + index + " -k 3 --list 36");
  for (int i = 0; i < copied; ++i) expect_good(lines, fmt::format("  all  -  {}/{}.jpg\n", more, i));
  const auto found = run_program("similar", "search " + index + " " + more + "/0.jpg -k 2");
  expect_good(found, "\n  1.0000  -  " + more + "/0.jpg\n");
  std::istringstream answer(found.output.substr(found.output.find(more + "/0.jpg:\n")));
  std::getline(answer, row);
  for (int i = 0; i < 2; ++i) {
    std::getline(answer, row);
    std::istringstream text(row);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    CHECK(words.size() == 3);
  }
}

TEST_CASE("similar: an index of another encoder, a moved one, and another preparation are refused") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string image = t.set + "/val";
  const std::string other = folder / "other";
  REQUIRE(run_program("pretrain", t.set + " --out " + other + tiny + "--seed 7").code == 0);
  expect_error(run_program("similar", "search " + t.index + " " + image + " --encoder " + other), 4,
               "another encoder");
  expect_error(run_program("similar", "index " + image + " --add --out " + t.index + " --encoder " + other), 4,
               "another encoder");
  expect_error(run_program("similar", "search " + t.index + " " + image + " --image-size 64"), 2,
               "--image-size");
  const std::string moved = folder / "moved";
  fs::copy(t.index, moved);
  nlohmann::json index = json_file(moved + "/index.json");
  const std::string gone = folder / "gone.safetensors", own = index["encoder"]["path"];
  index["encoder"]["path"] = gone;
  write_bytes(moved + "/index.json", index.dump());
  const auto lost = run_program("similar", "search " + moved + " " + image);
  expect_error(lost, 4, gone + " any more; say by --encoder where it is now");
  expect_error(lost, 4, index["encoder"]["xxh3"]);
  if (has_faiss_to_search())
    expect_good(run_program("similar", "search " + moved + " " + image + " --encoder " + t.run),
                own + " is the encoder of " + moved + ", which was at " + gone + ": the checksums are equal");
  // Another one in its place: the line does not send the user there.
  fs::copy_file(other + "/encoder.safetensors", gone);
  const auto replaced = run_program("similar", "search " + moved + " " + image);
  expect_error(replaced, 4, "its checksum was " + index["encoder"]["xxh3"].get<std::string>() + ", and is ");
  expect_error(replaced, 4, "say by --encoder where the earlier one is");
  fs::remove(gone);
  // Who adds says where it is, and from then on the index knows.
  fs::create_directory(folder / "more");
  write_bytes(folder / "more" / "copy.jpg",
              read_bytes(*begin(fs::directory_iterator(fs::directory_iterator(image)->path()))));
  expect_good(run_program("similar", "index " + (folder / "more").string() + " --add --out " + moved +
                                         " --encoder " + t.run),
              "31 images in 2 segments");
  CHECK(read_index(moved).encoder.path == own);
}

TEST_CASE("similar: bad input ends with one line, and changes nothing") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string with_encoder = " --encoder " + t.run + " --out ";
  fs::create_directory(folder / "full");
  write_bytes(folder / "full" / "mine.txt", "mine");
  fs::create_directory(folder / "empty");
  const std::string full = folder / "full", empty = folder / "empty", none = folder / "none";
  expect_error(run_program("similar", "index " + t.set + with_encoder + full), 2, "mine.txt");
  expect_error(run_program("similar", "index " + t.set + with_encoder + t.index), 2, "--add");
  expect_error(run_program("similar", "index " + t.set + with_encoder + t.set + "/train/index"), 2, "data set");
  expect_error(run_program("similar", "index " + empty + with_encoder + none), 3, empty);
  expect_error(run_program("similar", "index " + t.set + " --out " + none), 2, "--encoder");
  if (has_faiss_to_search())
    expect_error(run_program("similar", "index " + t.set + with_encoder + none + " --factory Nonsense"), 2,
                 "Nonsense");
  expect_error(run_program("similar", "index " + t.set + " --add --out " + none), 4, none);
  CHECK(!fs::exists(none));
  expect_error(run_program("similar", "search " + full + " x.png"), 4, "no index");
  expect_error(run_program("similar", "search " + none + " x.png"), 4, "no such folder");
  expect_error(run_program("similar", "merge " + full), 4, "no index");
  expect_error(run_program("similar", "check " + full), 4, "no index");
  expect_error(run_program("similar", "search " + t.index + " " + empty), 3, "no images");
  expect_error(run_program("similar", "search " + t.index + " x.png --html " + t.index + "/index.json"), 2,
               "--html");
  expect_error(run_program("similar", "search " + t.index + " x.png -k 0"), 2, "1 to 100000");
  // No other program writes into an index, and no picture becomes a page or a table.
  const std::string before = read_bytes(t.index + "/index.json");
  expect_error(
      run_program("evaluate", t.set + " --encoder " + t.run + " --retrieval --json " + t.index + "/index.json"),
      2, "lies in the folder of an index");
  expect_error(run_program("embed", t.set + " --encoder " + t.run + " --out " + t.index + "/x.npz"), 2,
               "lies in the folder of an index");
  CHECK(read_bytes(t.index + "/index.json") == before);
  write_bytes(folder / "mine.png", "a picture");
  expect_error(run_program("similar", "outliers " + t.index + " --csv " + (folder / "mine.png").string()), 2,
               ".csv");
  expect_error(run_program("similar", "outliers " + t.index + " --html " + (folder / "mine.png").string()), 2,
               ".html");
  expect_error(run_program("similar", "search " + t.index + " x.png --html " + (folder / "mine.png").string()),
               2, ".html");
  CHECK(read_bytes(folder / "mine.png") == "a picture");
  expect_error(run_program("report", t.run + " --data " + t.set + " --out " + t.set + "/page.html"), 2,
               "lies in the data set");
  expect_error(run_program("similar", "duplicates " + t.index + " --encoder " + t.run), 2, "--encoder");
  expect_error(run_program("similar", "duplicates " + t.set), 2, "--encoder");
  expect_error(run_program("similar", "duplicates " + t.index + " --above 1.5"), 2, "--above");
  expect_error(run_program("similar", "outliers " + full + "/mine.npz"), 4, "mine.npz");
  CHECK(folder_contents(folder / "full").size() == 1);
  const std::string half = folder / "half";
  fs::create_directory(half);
  write_index(half, {.is_complete = false});
  expect_error(run_program("similar", "search " + half + " x.png"), 4, "half written");
  expect_good(run_program("similar", "index " + t.set + with_encoder + half), "30 images");
  fs::resize_file(half + "/features-000.npy", 1000);
  expect_error(run_program("similar", "search " + half + " " + t.set + "/val"), 4, "features-000.npy");
  expect_error(run_program("similar", "check " + half), 4, "features-000.npy");
}

TEST_CASE("similar: a picture that cannot be read is named, and the others are searched for") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string bad = folder / "bad.png", missing = folder / "missing.png";
  write_bytes(bad, "no picture");
  const std::string good = (*fs::recursive_directory_iterator(t.set + "/val")).path().string();
  const auto result =
      run_program("similar", "search " + t.index + " " + bad + " " + good + " " + missing + " --json");
  CAPTURE(result.output);
  CHECK(result.code == 3);
  CHECK(is_one_line_error(result));
  const nlohmann::json answers = answers_of(result);
  CHECK(answers[0]["path"] == bad);
  CHECK(answers[0].contains("error"));
  CHECK(answers[1]["neighbours"].size() >= 1);
  CHECK(answers.back().contains("error"));
  // More neighbours than images: all of them, with a note.
  const auto all = run_program("similar", "search " + t.index + " " + t.set + "/val -k 1000 --json");
  expect_good(all, "note: " + t.index + " has 30 images");
  CHECK(answers_of(all)[0]["neighbours"].size() == 30);
}

TEST_CASE("similar: pages escape names of classes and files") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string set = folder / "set", index = folder / "index", page = folder / "page.html";
  fs::copy(t.set, set, fs::copy_options::recursive);
  const fs::path of_class = fs::directory_iterator(set + "/train")->path();
  const std::string name = of_class.filename().string();
  for (const char* part : {"train", "val"})
    fs::rename(set + "/" + part + "/" + name, set + "/" + part + "/<img src=x>\"&");
  expect_good(run_program("similar", "index " + set + " --encoder " + t.run + " --out " + index), "30 images");
  expect_good(run_program("similar", "search " + index + " " + set + " --html " + page), "");
  const std::string found = read_bytes(page);
  CHECK(found.find("<img src=x>") == std::string::npos);
  CHECK(found.find("&lt;img src=x&gt;") != std::string::npos);
  CHECK(found.find("data:image/jpeg;base64,") != std::string::npos);
  for (const char* word : {"duplicates", "outliers", "mislabeled"}) {
    fs::remove(page);
    expect_good(run_program("similar", std::string(word) + " " + index + " --html " + page), "");
    CHECK(read_bytes(page).find("<img src=x>") == std::string::npos);
  }
}

TEST_CASE("similar: duplicates across parts come first") {
  if (!has_faiss_to_search()) return;
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string set = folder / "set", table = folder / "t.csv", page = folder / "p.html";
  fs::copy(t.set, set, fs::copy_options::recursive);
  const fs::path of_class = fs::directory_iterator(set + "/train")->path();
  const fs::path image = fs::directory_iterator(of_class)->path();
  const std::string name = of_class.filename().string(), ending = image.extension().string();
  fs::copy(image, set + "/val/" + name + "/copy" + ending);
  const std::string flags = " --above 1 --csv " + table + " --html " + page;
  const auto result = run_program("similar", "duplicates " + set + " --encoder " + t.run + flags);
  expect_good(result, "1 across parts");
  std::istringstream lines(read_bytes(table));
  std::string header, first, second;
  std::getline(lines, header);
  CHECK(header == "group,least_similarity,most_similarity,part,class,path");
  std::getline(lines, first);
  std::getline(lines, second);
  CHECK(first.ends_with(",train," + name + "," + image.string()));
  CHECK(second.ends_with(",val," + name + "," + set + "/val/" + name + "/copy" + ending));
  CHECK(read_bytes(page).find("in several parts") != std::string::npos);
}

TEST_CASE("similar: one image, and images that are all equal") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  fs::path image;
  for (const auto& entry : fs::recursive_directory_iterator(t.set + "/val"))
    if (entry.is_regular_file()) image = entry.path();
  const std::string one = folder / "one", index = folder / "one_index", same = folder / "same";
  fs::create_directory(one);
  fs::copy(image, one);
  expect_good(run_program("similar", "index " + one + " --encoder " + t.run + " --out " + index), "1 image of");
  if (!has_faiss_to_search()) return;
  CHECK(search_json(index, image.string())[0]["neighbours"].size() == 1);
  for (const char* word : {"duplicates", "outliers"})
    expect_error(run_program("similar", std::string(word) + " " + index), 3, "single image");
  fs::create_directory(same);
  for (const char* name : {"/a", "/b", "/c"}) fs::copy(image, same + name + image.extension().string());
  const std::string same_index = folder / "same_index";
  expect_good(run_program("similar", "index " + same + " --encoder " + t.run + " --out " + same_index),
              "3 images");
  expect_good(run_program("similar", "duplicates " + same_index + " --above 1"), "3 of 3 images in 1 group");
  expect_good(run_program("similar", "outliers " + same_index), "0 of 3 images");
  expect_error(run_program("similar", "mislabeled " + same_index), 3, "no classes");
}

TEST_CASE("similar: wrong labels and outliers of a features file are found") {
  if (!has_faiss_to_search()) return;
  const TemporaryFolder folder;
  const std::string file = folder / "f.npz", table = folder / "t.csv", page = folder / "p.html";
  std::vector<std::int64_t> labels(20);
  for (std::size_t row = 10; row < 20; ++row) labels[row] = 1;
  labels[3] = 1;
  std::vector<float> rows = two_groups();
  write_features(file, rows, 8, labels, numbered_paths(20));
  const auto wrong = run_program("similar", "mislabeled " + file + " -k 5 --csv " + table + " --html " + page);
  expect_good(wrong, "the neighbours of 1 of 20 images say another class");
  expect_good(wrong, "<i>3.png: dog, but its neighbours say <b>cat");
  std::istringstream lines(read_bytes(table));
  std::string header, first;
  std::getline(lines, header);
  std::getline(lines, first);
  CHECK(first.starts_with("1,"));
  CHECK(first.ends_with(",<i>3.png"));
  CHECK(std::ranges::count(read_bytes(table), '\n') == 21);
  CHECK(read_bytes(page).find("<b>cat") == std::string::npos);
  CHECK(read_bytes(page).find("&lt;b&gt;cat") != std::string::npos);
  // An image without a class is left out before neighbours are sought.
  std::vector<std::int64_t> some = labels;
  some[12] = -1;
  write_features(file, rows, 8, some, numbered_paths(20));
  const auto without = run_program("similar", "mislabeled " + file + " -k 5 --csv " + table);
  expect_good(without, "the neighbours of 1 of 19 images say another class");
  expect_good(without, "note: 1 image without a class left out");
  CHECK(read_bytes(table).find("<i>12.png") == std::string::npos);
  // A row that points away from all others.
  for (std::size_t i = 0; i < 8; ++i) rows[17 * 8 + i] = i == 6 ? -1.0f : 0.0f;
  write_features(file, rows, 8, labels, numbered_paths(20));
  expect_good(run_program("similar", "outliers " + file + " -k 3 --csv " + table), "<i>17.png");
  std::istringstream ranked(read_bytes(table));
  std::getline(ranked, header);
  std::getline(ranked, first);
  CHECK(first.ends_with(",<i>17.png"));
  rows[5] = std::nanf("");
  write_features(file, rows, 8, labels, numbered_paths(20));
  expect_error(run_program("similar", "outliers " + file), 3, "finite");
}

TEST_CASE("similar: a signal or a kill while indexing leaves what was there") {
  const Indexed& t = indexed();
  const TemporaryFolder folder;
  const std::string set = folder / "slow", index = folder / "index";
  ToySetOptions many;
  many.classes = 3;
  many.per_class = 100;
  many.image_size = 32;
  make_toy_set(set, many);
  std::string opened = "~";
  for (const auto& entry : fs::directory_iterator(set + "/train"))
    opened = std::min(opened, entry.path().string());
  const std::string arguments = "index " + set + " --encoder " + t.run + " -b 1 -j 0 --out " + index;
  const auto stopped = run_until_it_opens(opened, SIGINT, "similar", arguments);
  CAPTURE(stopped.output);
  CHECK(stopped.code == 8);
  CHECK(says(stopped, "SIGINT: " + index + " was not made; the same command begins anew"));
  CHECK(!fs::exists(index));
  CHECK(run_until_it_opens(opened, SIGKILL, "similar", arguments).code == 137);
  expect_error(run_program("similar", "check " + index), 4, "half written");
  expect_good(run_program("similar", arguments), "375 images");
  const std::string before = read_bytes(index + "/index.json");
  const std::string more = folder / "more";
  fs::copy(set + "/train", more, fs::copy_options::recursive);
  const std::string adding = "index " + more + " --add -b 1 -j 0 --out " + index;
  opened = more + "/" + fs::path(opened).filename().string();
  CHECK(run_until_it_opens(opened, SIGKILL, "similar", adding).code == 137);
  CHECK(read_bytes(index + "/index.json") == before);
  expect_good(run_program("similar", "check " + index), "375 images in 1 segment");
  expect_good(run_program("similar", adding), "300 images more, 675 images in 2 segments");
  for (const auto& entry : fs::directory_iterator(index))
    CHECK(!entry.path().filename().string().starts_with(".kindred"));
}

}  // namespace
}  // namespace kindred
