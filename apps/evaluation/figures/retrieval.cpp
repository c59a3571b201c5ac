#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/figures/retrieval.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace kindred {
namespace {

// What one image finds.
struct RetrievedByOne {
  std::int64_t first_right =
      0;  // the rank of the nearest classmate from 1; beyond all: ranks that were not looked at
  double r_precision = 0, average_precision = 0;
};

// nearest: the others, the nearest first, at least `classmates` of them.
RetrievedByOne retrieved_by(std::span<const std::int64_t> nearest, const std::vector<std::int32_t>& labels,
                            std::int32_t label, std::int64_t classmates) {
  RetrievedByOne result{.first_right = std::numeric_limits<std::int64_t>::max()};
  std::int64_t right = 0, rank = 0;
  for (const std::int64_t row : nearest) {
    ++rank;
    if (labels[static_cast<std::size_t>(row)] != label) continue;
    result.first_right = std::min(result.first_right, rank);
    if (rank > classmates) continue;
    ++right;
    result.average_precision += static_cast<double>(right) / static_cast<double>(rank);
  }
  result.r_precision = static_cast<double>(right) / static_cast<double>(classmates);
  result.average_precision /= static_cast<double>(classmates);
  return result;
}

}  // namespace

Retrieval measure_retrieval(const FeatureTable& table, const RetrievalProgress& progress) {
  const std::int64_t rows = table.rows();
  check(rows > 0 && table.dim > 0 && std::ssize(table.features) == rows * table.dim, ExitCode::internal,
        "retrieval: {} labels of {} values", rows, table.features.size());
  std::vector<std::int64_t> of_class(1 + static_cast<std::size_t>(std::ranges::max(table.labels)));
  for (const std::int32_t label : table.labels) ++of_class[static_cast<std::size_t>(label)];
  const auto classmates_of = [&](std::int64_t row) {
    return of_class[static_cast<std::size_t>(table.labels[static_cast<std::size_t>(row)])] - 1;
  };
  check(std::ranges::any_of(of_class, [](std::int64_t images) { return images > 1; }), ExitCode::data,
        "retrieval: no class has two of the {}, so nothing of the same class can be found; give a set with at "
        "least two "
        "images of a class",
        counted(rows, "image"));

  const std::vector<float> unit = unit_rows(table.features, table.dim);
  const std::int64_t tile = queries_of_tile(rows);
  std::vector<float> similarities;
  std::vector<RetrievedByOne> of_tile(static_cast<std::size_t>(tile));
  Retrieval sums;
  for (std::int64_t first = 0; first < rows; first += tile) {
    const std::int64_t count = std::min(tile, rows - first);
    tile_similarities(unit, first, count, unit, table.dim, similarities);
    parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<std::int64_t> order;
      for (std::int64_t q = begin; q < end; ++q) {
        const std::int64_t query = first + q, classmates = classmates_of(query);
        if (classmates == 0) continue;
        const std::span<float> of_query =
            std::span(similarities).subspan(static_cast<std::size_t>(q * rows), static_cast<std::size_t>(rows));
        of_query[static_cast<std::size_t>(query)] =
            -std::numeric_limits<float>::infinity();  // ranked last, behind all
        const std::int64_t wanted = std::min(rows - 1, std::max(classmates, recall_ranks.back()));
        put_nearest_first(of_query, wanted, order);
        of_tile[static_cast<std::size_t>(q)] =
            retrieved_by(std::span(order).first(static_cast<std::size_t>(wanted)), table.labels,
                         table.labels[static_cast<std::size_t>(query)], classmates);
      }
    });
    for (std::int64_t q = 0; q < count;
         ++q) {  // in the order of the images, so that the sum is always the same
      if (classmates_of(first + q) == 0) {
        ++sums.alone;
        continue;
      }
      const RetrievedByOne& one = of_tile[static_cast<std::size_t>(q)];
      ++sums.queries;
      for (std::size_t k = 0; k < recall_ranks.size(); ++k)
        sums.recall[k] += one.first_right <= recall_ranks[k];
      sums.r_precision += one.r_precision;
      sums.map_at_r += one.average_precision;
    }
    if (progress) progress(first + count);
  }
  const auto queries = static_cast<double>(sums.queries);
  for (double& recall : sums.recall) recall /= queries;
  sums.r_precision /= queries;
  sums.map_at_r /= queries;
  return sums;
}

nlohmann::json to_json(const Retrieval& retrieval) {
  nlohmann::json recall = nlohmann::json::object();
  for (std::size_t k = 0; k < recall_ranks.size(); ++k)
    recall[std::to_string(recall_ranks[k])] = retrieval.recall[k];
  return {{"recall", recall},
          {"r_precision", retrieval.r_precision},
          {"map_at_r", retrieval.map_at_r},
          {"queries", retrieval.queries},
          {"alone", retrieval.alone}};
}

std::string retrieval_line(const Retrieval& retrieval) {
  std::string line = "retrieval:";
  for (std::size_t k = 0; k < recall_ranks.size(); ++k)
    line += fmt::format(" recall@{} {:.4f},", recall_ranks[k], retrieval.recall[k]);
  line += fmt::format(" R-precision {:.4f}, MAP@R {:.4f}", retrieval.r_precision, retrieval.map_at_r);
  if (retrieval.alone > 0)
    line += fmt::format(" ({} alone in {} class did not ask)", counted(retrieval.alone, "image"),
                        retrieval.alone == 1 ? "its" : "their");
  return line;
}

nlohmann::json print_retrieval(const FeatureTable& table, const std::function<void()>& between) {
  const std::int64_t tile = queries_of_tile(table.rows());
  Progress progress("retrieval", (table.rows() + tile - 1) / tile, "images");
  std::int64_t before = 0;
  const Retrieval retrieval = measure_retrieval(table, [&](std::int64_t done) {
    between();
    progress.advance(done - std::exchange(before, done), "");
  });
  fmt::print("{}\n{}", retrieval_line(retrieval),
             equal_rows_warning(table.features, table.dim, "these figures say nothing"));
  return to_json(retrieval);
}

}  // namespace kindred
