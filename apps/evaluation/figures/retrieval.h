// Retrieval: how well images of the same class are found by an image. Every image of a set asks all others, which are ranked
// by cosine similarity.
//
//   recall@k      the share of images with one of their class among their k nearest
//   R-precision   of an image with R others of its class: the share of these classmates among its R nearest; the mean
//   MAP@R         mean over images of 1/R sum_{i=1..R} P(i) rel(i), where rel(i) is 1 if the i-th nearest is of the
//                 image's class, else 0, and P(i) the share of classmates among the first i
//                 (Musgrave, Belongie, Lim 2020, "A Metric Learning Reality Check", arXiv 2003.08505)
//
// These are the figures of pytorch-metric-learning's AccuracyCalculator for rows of unit length: an image whose class
// has no other one asks nothing, but is found by others. Of equal similarities the earlier image is ranked first.
#pragma once

#include <kindred/apps/evaluation/nearest_neighbours.h>

#include <nlohmann/json_fwd.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <string>

namespace kindred {

inline constexpr std::array<std::int64_t, 3> recall_ranks = {1, 5, 10};

struct Retrieval {
  std::array<double, 3> recall{};  // at recall_ranks; all figures are from 0 to 1
  double r_precision = 0, map_at_r = 0;
  std::int64_t queries = 0;  // images that asked
  std::int64_t alone = 0;    // images that did not, because no other one is of their class
};

// Called after each tile of queries with the number that is done; it may throw, for example after a signal.
using RetrievalProgress = std::function<void(std::int64_t done)>;

// labels: 0 or more. Takes at most 256 MiB beside the table, 8 bytes for each row and thread, and a copy of the table. With another
// number of threads products of long rows may be rounded otherwise, and rows that are as near as that change places. Throws Error(data) if no class has two images: nothing could be found.
Retrieval measure_retrieval(const FeatureTable& table, const RetrievalProgress& progress = {});

// {"recall": {"1": ..., "5": ..., "10": ...}, "r_precision": ..., "map_at_r": ..., "queries": ..., "alone": ...}
nlohmann::json to_json(const Retrieval& retrieval);

// "retrieval: recall@1 0.9120, recall@5 0.9700, recall@10 0.9812, R-precision 0.6012, MAP@R 0.5123"
std::string retrieval_line(const Retrieval& retrieval);

// Measures it with a progress, prints the line, and returns to_json(). `between` is called after each tile of queries; it may
// throw, for example after a signal.
nlohmann::json print_retrieval(const FeatureTable& table, const std::function<void()>& between);

}  // namespace kindred
