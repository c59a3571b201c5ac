// Images whose class their neighbours contradict. Each image's k nearest others vote for their classes, each with the weight
// exp(cosine / 0.07), as nearest neighbours do for the accuracy of an encoder (apps/evaluation/nearest_neighbours.h). The image
// itself has no vote. Where another class wins, the label is suspect (Wilson 1972, "Asymptotic properties of nearest neighbor
// rules using edited data"; for learned features Zhu, Dong, Liu 2022, arXiv 2110.06283).
#pragma once

#include <kindred/apps/analysis/image_table.h>
#include <kindred/apps/analysis/neighbours.h>

#include <cstdint>
#include <vector>

namespace kindred {

struct VoteOptions {
  // In (0, 1]: neighbours of the same class that are nearer than this have no vote. A copy that was given the same wrong label
  // would outvote all others, since it is at cosine 1. Copies of another class keep their vote: they are the best evidence. Of an
  // encoder that was trained with these labels a whole class may be so near, and then nobody of it votes. 0: all vote.
  float silent_above = 0;
};

struct LabelDoubt {
  std::int32_t row = 0;
  std::int32_t label = 0;  // its class
  std::int32_t rival =
      -1;  // the other class with the largest share; of equal shares the smaller number; -1: there is none
  double own_share = 0;  // of the votes; the shares of all classes add up to 1
  double rival_share = 0;
  double other_share = 0;   // of all classes but its own: 1 - own_share
  std::int32_t voters = 0;  // neighbours that voted; 0: all shares are 0

  double margin() const { return rival_share - own_share; }  // -1 to 1
  bool is_contradicted() const { return rival >= 0 && rival_share > own_share; }
};

struct LabelDoubts {
  // All rows with a class, the largest margin first; then by other_share, then by row. Those without one have no vote either.
  std::vector<LabelDoubt> ranked{};
  std::int64_t contradicted = 0;  // so many are in front
};

// others: nearest_others() of the table's unit rows. Throws Error(data) if the images have no classes, and Error(usage) for an
// option out of range.
LabelDoubts rank_label_doubts(const ImageTable& table, const Neighbours& others,
                              const VoteOptions& options = {});

}  // namespace kindred
