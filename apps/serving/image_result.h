// What `serve` computes for one image.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace kindred {

struct FoundNeighbour {
  std::string path{};        // as the index calls the image
  std::string class_name{};  // "" if it has none
  float similarity = 0;      // cosine
  std::string thumbnail{};   // "data:image/jpeg;base64,..."; "" if the index has none
};

struct ImageResult {
  std::vector<float> feature{};                               // [dim]
  std::vector<std::pair<std::string, double>> predictions{};  // class and probability, best first
  std::vector<FoundNeighbour> neighbours{};                   // nearest first
};

}  // namespace kindred
