#include <kindred/apps/analysis/mislabeled.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace kindred {
namespace {

LabelDoubt doubt_of(const ImageTable& table, const Neighbours& others, std::int32_t row,
                    const VoteOptions& options) {
  LabelDoubt doubt{.row = row, .label = table.labels[static_cast<std::size_t>(row)]};
  std::map<std::int32_t, double> votes;  // of at most k classes, however many there are
  double sum = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(others.each); ++i) {
    const std::int32_t label = table.labels[static_cast<std::size_t>(others.rows_of(row)[i])];
    if (label < 0) continue;  // without a class it has no vote
    const float cosine = others.similarity_of(row)[i];
    if (options.silent_above > 0 && label == doubt.label && cosine > options.silent_above) continue;
    votes[label] += vote_weight(cosine);
    sum += vote_weight(cosine);
    ++doubt.voters;
  }
  if (sum <= 0) return doubt;
  double rival = 0;
  for (const auto& [label, weight] : votes)
    if (label != doubt.label && weight > rival) {
      doubt.rival = label;
      rival = weight;
    }
  doubt.rival_share = rival / sum;
  if (const auto own = votes.find(doubt.label); own != votes.end()) doubt.own_share = own->second / sum;
  doubt.other_share = 1 - doubt.own_share;
  return doubt;
}

}  // namespace

LabelDoubts rank_label_doubts(const ImageTable& table, const Neighbours& others, const VoteOptions& options) {
  check(table.has_classes(), ExitCode::data,
        "these images have no classes, so no label can be wrong; give a set with a folder for each class, or "
        "features with "
        "\"labels\"");
  check(options.silent_above >= 0 && options.silent_above <= 1, ExitCode::usage,
        "{} as the cosine above which copies do not vote: expected 0 to 1", options.silent_above);
  check(others.queries() == table.rows(), ExitCode::internal, "votes: neighbours of {} rows for {}",
        others.queries(), table.rows());
  LabelDoubts result;
  for (std::int32_t row = 0; row < table.rows(); ++row) {
    if (table.labels[static_cast<std::size_t>(row)] < 0) continue;  // no label that could be wrong
    result.ranked.push_back(doubt_of(table, others, row, options));
    result.contradicted += result.ranked.back().is_contradicted();
  }
  std::ranges::sort(result.ranked, {}, [](const LabelDoubt& doubt) {
    return std::tuple(-doubt.margin(), -doubt.other_share, doubt.row);
  });
  return result;
}

}  // namespace kindred
