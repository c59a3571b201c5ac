#include <kindred/apps/training/run/shared/shared_source.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace kindred {

NonFiniteSource first_source(const Communicator& processes, const NonFiniteSource& own, std::int64_t batch) {
  if (processes.is_alone()) return own;
  const std::int64_t share = batch / processes.size(), first_image = processes.rank() * share;
  std::vector<std::int64_t> images;
  for (const std::int64_t row : own.rows) images.push_back(first_image + row % share);
  const nlohmann::json said = {{"layer", own.layer}, {"place", own.place}, {"images", images}};
  NonFiniteSource first;
  for (const std::string& text : processes.gather(json_text(said))) {
    const nlohmann::json each = parse_json(text);
    const auto place = each.at("place").get<std::int64_t>();
    if (place < 0 || (first.place >= 0 && place > first.place)) continue;
    if (place != first.place) first = {.layer = each.at("layer"), .rows = {}, .place = place};
    for (const nlohmann::json& image : each.at("images")) first.rows.push_back(image.get<std::int64_t>());
  }
  return first;
}

}  // namespace kindred
