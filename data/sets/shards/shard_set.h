// The images of tar shards as a data set.
#pragma once

#include <kindred/data/sets/dataset.h>
#include <kindred/data/sets/shards/fetch_shards.h>

#include <filesystem>
#include <memory>
#include <vector>

namespace kindred::detail {

// The images of `shards`, or of `training` if there are no `shards`; the classes are those of `training`. `class_list` is the
// set's classes.txt, which need not exist. The set keeps `folder`, in which some of them may lie. Throws Error(data).
Dataset set_of_shards(const std::vector<ShardFile>& training, const std::vector<ShardFile>& shards,
                      const std::filesystem::path& class_list, const DecodeLimits& limits,
                      std::shared_ptr<const ShardFolder> folder = nullptr);

}  // namespace kindred::detail
