// The map of an embedding as an element of a page: points by class, images under the pointer, search, lasso.
#pragma once

#include <kindred/apps/analysis/image_table.h>

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

namespace kindred {

// A place of the map for each row of the table: [rows, 2].
struct MapPlaces {
  std::vector<float> xy{};
};

// What map.js draws. The places are packed as base64 of u16 (65535 steps over the map's extent), so that 60,000 points take
// 320 kB. Thumbnails of the table, if it has some, go into atlases of JPEG, at most `most_picture_bytes` together; beyond that they
// are evenly thinned out, and a point without one shows its name alone.
//
// The head of assets/map.js gives the format. In a page it must be the member of the page's data that is called as the
// element: page.data = {"map": map_json(...)} with map_element("map", ...).
//
// `most_picture_bytes` counts the pictures as they stand in the page, in base64. The places must be finite, and as many as the
// table has rows: anything else throws Error(internal).
nlohmann::json map_json(const ImageTable& table, const MapPlaces& places, std::size_t most_picture_bytes);

// The element that map.js fills: <section class="map" id=ID>...</section>, with a table of the classes for readers without a
// canvas.
std::string map_element(const std::string& id, const ImageTable& table);

}  // namespace kindred
