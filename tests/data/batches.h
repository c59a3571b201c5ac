// Comparing what a loader gives.
#pragma once

#include <kindred/data/loading/loader.h>

#include <algorithm>
#include <vector>

namespace kindred::test {

inline bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Batch& x, const Batch& y) {
    return x.images == y.images && x.labels == y.labels && x.indices == y.indices;
  });
}

}  // namespace kindred::test
