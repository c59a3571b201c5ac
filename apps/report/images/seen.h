// What a report shows of images: views, classes that are confused, neighbours, the map, labels that look wrong.
#pragma once

#include <kindred/apps/report/images/run_images.h>
#include <kindred/apps/report/run_files.h>

#include <nlohmann/json.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace kindred {

struct FrozenEncoder;  // apps/evaluation/encoder_flags.h

struct SeenOptions {
  std::int64_t most_evaluation = 2000,
               most_training = 5000;  // images that are looked at, evenly spread over each set
  std::int64_t map_iterations = 500;  // of t-SNE; its divergence then is one or two percent above that of 750
  bool has_quick_map = false;         // principal components in the place of t-SNE
  std::string stopped = "nothing was written; the same command begins anew";  // what a signal's line says
  // Bytes of the page that the pictures of the map may take.
  std::size_t most_map_bytes = std::size_t{3} << 19;
};

// For the page that a run draws at its end, after so many views: the images that are looked at go through the network once, and
// the views went there and back. The first takes at most a 200th of the second, but in short runs there are never fewer than
// 500 evaluation and 1,250 training images, a quarter of those in long ones.
SeenOptions seen_after_run_of(std::int64_t views);

// Parts of the page as HTML; empty: there is nothing of the kind.
struct Seen {
  std::string views{}, classes{}, neighbours{}, map{}, doubts{};
  nlohmann::json confusion = nullptr, map_data = nullptr;  // for report.js and map.js
  std::vector<std::string> notes{};                        // what could not be done, a sentence each
};

// `load` gives the run's encoder, or throws. A part that cannot be made is a note. Throws Error(interrupted) after a signal.
Seen look_at_images(const RunFiles& run, const RunImages& images,
                    const std::function<std::unique_ptr<FrozenEncoder>()>& load, const SeenOptions& options);

}  // namespace kindred
