#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/progress.h>
#include <kindred/engine/counted.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace kindred {

nlohmann::json evaluated_on(const Dataset& set, std::int64_t images) {
  return {{"folder", set.origin().folder}, {"images", images}, {"split", set.origin().part}};
}

std::string images_of_part(const Dataset& set) {
  return fmt::format("{} ({})", counted(set.size(), "image"), set.origin().part);
}

void print_evaluated_on(const Dataset& set, std::int64_t images) {
  const Origin& origin = set.origin();
  fmt::print("{}\n", one_line(fmt::format("evaluated on {} of {} ({})", counted(images, "image"), origin.folder,
                                          origin.part)));
}

}  // namespace kindred
