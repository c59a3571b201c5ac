// Replaces event_folder.cpp if protobuf was not found when the build was configured.
#include <kindred/apps/metrics/event_folder.h>

namespace kindred {

bool writes_events() {
  return false;
}

void EventFolder::write(const std::vector<nlohmann::json>&) {}

void EventFolder::write_all(const std::vector<nlohmann::json>&, const std::optional<PictureFile>&) {}

}  // namespace kindred
