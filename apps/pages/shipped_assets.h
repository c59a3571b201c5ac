// The files of apps/pages/assets and the chart library, as the build put them into the program.
#pragma once

#include <string_view>
#include <vector>

namespace kindred {

struct ShippedAsset {
  const char* name;  // "page.css", "map.js" ...; "chart.js" is the library, if the build had it
  std::string_view text;
};

extern const std::vector<ShippedAsset> shipped_assets;  // defined in a source that CMake writes

}  // namespace kindred
