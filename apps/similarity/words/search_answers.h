// What `similar search` says about each image: lines for people, JSON or CSV for programs, and a page of pictures.
#pragma once

#include <kindred/apps/similarity/similarity_index.h>
#include <kindred/data/images/image.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred {

struct SearchAnswer {
  std::string path{};
  std::string problem{};  // empty if the picture could be read
  Image picture{};        // as the network sees it
  FoundImages found{};
};

enum class SearchForm : std::uint8_t { lines, json, csv };

class SearchPrinter {
 public:
  // Prints to standard output.
  //   lines  "IMAGE:", then for each neighbour "  0.9312  cat  train/cat/17.jpg"; "-" stands for a class that is not there
  //   json   a list of {"path", "neighbours": [{"similarity", "class", "part", "path"}, ...]}, or {"path", "error"}
  //   csv    image,rank,similarity,class,part,path,error
  SearchPrinter(const SimilarityIndex& index, SearchForm form) : index_(index), form_(form) {}

  void print(const SearchAnswer& answer);
  void finish();  // to be called after the last answer

 private:
  const SimilarityIndex& index_;
  SearchForm form_;
  bool is_first_ = true;
};

// A page with the pictures of the first images that could be read, each with its neighbours.
class SearchPage {
 public:
  explicit SearchPage(const SimilarityIndex& index) : index_(index) {}

  void add(const SearchAnswer& answer);
  void write(const std::string& path) const;  // throws Error(io)

 private:
  static constexpr std::int64_t most_shown = 100, most_neighbours_shown = 50;

  const SimilarityIndex& index_;
  std::string body_{};
  std::int64_t shown_ = 0, left_out_ = 0;
};

}  // namespace kindred
