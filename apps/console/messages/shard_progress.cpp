#include <kindred/apps/console/messages/shard_progress.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>

#include <filesystem>
#include <system_error>

namespace kindred {

void ShardProgress::show(const FetchProgress& now) {
  now_ = now;
  if (!bar_) {
    bar_.emplace("reading shards", now.of, "MiB");
    return;
  }
  bar_->advance(static_cast<std::int64_t>((now.bytes - bytes_) >> 20), "");
  bytes_ = now.bytes;
  std::error_code error;
  const auto space = std::filesystem::space(now.folder, error);
  const double left = static_cast<double>(now.bytes) / static_cast<double>(now.shards) *
                      static_cast<double>(now.of - now.shards);
  if (error || warned_ || left <= static_cast<double>(space.available)) return;
  warned_ = true;
  fmt::print(
      "warning: the shards that are left take about {}, and {} has room for {}; --shard-cache DIR reads them "
      "into another folder\n",
      format_bytes(left), one_line(now.folder.string()), format_bytes(static_cast<double>(space.available)));
}

void ShardProgress::end(const ShardFolder& folder) {
  bar_.reset();
  if (now_.shards == 0) return;
  fmt::print("{} read from commands into {}{}, {}\n", counted(now_.shards, "shard"),
             one_line(folder.path().string()),
             folder.is_temporary() ? " (removed at the end; --shard-cache DIR keeps them)" : "",
             format_bytes(static_cast<double>(now_.bytes)));
}

}  // namespace kindred
