// A set, its encoder and its index, and what tests of `similar` say about its output.
#pragma once

#include "../programs.h"

#include <kindred/data/npz/npz.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/third_party/faiss/faiss.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

inline bool has_faiss_to_search() {
  if (third_party::has_faiss()) return true;
  MESSAGE("skipped: built without FAISS");
  return false;
}

inline void expect_good(const ProgramResult& result, const std::string& text) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(result.output.find(text) != std::string::npos);
}

inline void expect_error(const ProgramResult& result, int code, const std::string& text) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(result.output.find(text) != std::string::npos);
}

// A set, its encoder and an index of all its images: 24 for training, then 6 for validation.
struct Indexed {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", index = folder / "index";
  Indexed() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    expect_good(run_program("similar", "index " + set + " --encoder " + run + " --out " + index),
                "30 images of 64 values each");
  }
};

// Made once for the cases that only read it.
inline const Indexed& indexed() {
  static const Indexed made;
  return made;
}

// The list that `similar search --json` prints, behind what standard error has.
inline nlohmann::json answers_of(const ProgramResult& result) {
  CAPTURE(result.output);
  const std::size_t begin = result.output.find("[\n"), end = result.output.rfind("\n]");
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  return parse_json(result.output.substr(begin, end + 2 - begin));
}

inline nlohmann::json search_json(const std::string& index, const std::string& images,
                                  const std::string& flags = "") {
  const auto result = run_program("similar", "search " + index + " " + images + " --json " + flags);
  CHECK(result.code == 0);
  return answers_of(result);
}

// A file as embed writes it.
inline void write_features(const std::filesystem::path& file, const std::vector<float>& rows, std::int64_t dim,
                           const std::vector<std::int64_t>& labels, const std::vector<std::string>& paths) {
  NpzWriter writer(file);
  writer.begin<float>("features", {dim});
  writer.append<float>(rows);
  writer.begin<std::int64_t>("labels", {});
  writer.append<std::int64_t>(labels);
  std::size_t widest = 0;
  for (const std::string& path : paths) widest = std::max(widest, text_width(path));
  writer.begin_texts("paths", widest);
  for (const std::string& path : paths) writer.append_text(path);
  writer.begin_texts("classes", 8);
  for (const char* name : {"<b>cat", "dog"}) writer.append_text(name);
  writer.commit();
}

inline std::vector<std::string> numbered_paths(std::size_t count) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < count; ++i) paths.push_back("<i>" + std::to_string(i) + ".png");
  return paths;
}

}  // namespace kindred
