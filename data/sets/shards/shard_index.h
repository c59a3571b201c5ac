// What one tar shard of WebDataset holds. Members form one sample if their names agree up to the first dot of the last
// path component: "n01/0007.jpg" and "n01/0007.cls". Only headers and labels are read.
#pragma once

#include <kindred/data/sets/shards/fetch_shards.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred::detail {

struct ShardSample {
  std::string image;  // the member's name
  std::string label;  // as written in the file: a number or a class name
  std::uint64_t offset = 0, bytes = 0;
};

using Shard = std::vector<ShardSample>;

// Throws Error(data).
std::vector<Shard> index_shards(const std::vector<ShardFile>& files);

}  // namespace kindred::detail
