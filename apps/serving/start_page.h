// The page of `serve`, which apps/pages/assets/serve.js fills.
#pragma once

#include <cstddef>
#include <string>

namespace kindred {

struct StartPage {
  std::string model{};  // "resnet50", for the sentence below the heading
  int side = 0;         // of the pictures that the network sees
  bool has_classes = false, has_neighbours = false, asks_token = false;
  std::size_t most_upload_bytes = 0;
};

// The whole HTML.
std::string start_page(const StartPage& page);

}  // namespace kindred
