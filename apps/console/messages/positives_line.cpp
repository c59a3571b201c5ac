#include <kindred/apps/console/messages/positives_line.h>
#include <kindred/data/loading/sampler.h>

#include <fmt/core.h>

namespace kindred {
namespace {

constexpr double many = 0.25;  // from this fraction of the anchors on, a warning is printed

}  // namespace

std::string describe(const PositiveStatistics& positives, int views, const MorePositives& more) {
  std::string text = fmt::format("an anchor has {:.1f} {} in its batch, on average\n", positives.mean,
                                 fmt::format("{:.1f}", positives.mean) == "1.0" ? "positive" : "positives");
  const std::string flags = more.per_class && more.batch_size ? "--per-class 2 or a larger --batch-size"
                            : more.per_class                  ? "--per-class 2"
                            : more.batch_size                 ? "a larger --batch-size"
                                                              : "";
  if (positives.without > many)
    text += fmt::format(
        "warning: {:.0f} % of the anchors have no positive and contribute nothing; --views 2{} gives them "
        "positives\n",
        100 * positives.without,
        flags.empty() ? "" : (more.per_class && more.batch_size ? ", " : " or ") + flags);
  else if (positives.alone > many)
    text += fmt::format(
        "warning: {:.0f} % of the anchors have no other image of their class in the batch, only their own {}; "
        "{}\n",
        100 * positives.alone, views == 2 ? "other view" : "other views",
        flags.empty() ? "the set has no others" : flags + " gives them more positives");
  return text;
}

}  // namespace kindred
