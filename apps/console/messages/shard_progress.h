// What a program shows while commands write shards (data/sets/shards/fetch_shards.h).
#pragma once

#include <kindred/apps/console/progress.h>
#include <kindred/data/sets/shards/fetch_shards.h>

#include <cstdint>
#include <optional>

namespace kindred {

class ShardProgress {
 public:
  // Shows how far the commands are, and warns once if the disk will not hold what they write.
  void show(const FetchProgress& now);
  // Prints a line that says what was read, if anything was.
  void end(const ShardFolder& folder);

 private:
  std::optional<Progress> bar_;
  FetchProgress now_;
  std::uint64_t bytes_ = 0;
  bool warned_ = false;
};

}  // namespace kindred
