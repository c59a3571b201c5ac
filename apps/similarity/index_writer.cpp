#include <kindred/apps/similarity/index_file.h>
#include <kindred/engine/files/atomic_file.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/names.h>
#include <kindred/models/choices.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <array>
#include <utility>

namespace kindred {
namespace {

nlohmann::json file_json(const IndexedFile& file) {
  return {{"file", file.name}, {"bytes", file.bytes}, {"xxh3", file.xxh3}};
}

// Floats in as few digits as tell them apart.
nlohmann::json three_json(const std::array<float, 3>& values) {
  return parse_json(fmt::format("[{}, {}, {}]", values[0], values[1], values[2]));
}

nlohmann::json encoder_json(const IndexedEncoder& encoder) {
  const EncoderInfo& info = encoder.info;
  return {{"xxh3", encoder.xxh3},
          {"path", encoder.path},
          {"foreign", encoder.is_foreign},
          {"model", info.model},
          {"stem", name(info.stem)},
          {"image_size", info.image_size},
          {"pixel_mean", three_json(info.pixels.mean)},
          {"pixel_std", three_json(info.pixels.deviation)},
          {"resize", name_of(resize_names, info.resize)},
          {"exif", name_of(exif_names, info.exif)}};
}

nlohmann::json index_json(const IndexContent& content) {
  nlohmann::json index{{"format", index_format}, {"version", index_version}, {"complete", content.is_complete}};
  if (!content.is_complete) return index;
  index["dim"] = content.dim;
  index["rows"] = content.rows();
  index["encoder"] = encoder_json(content.encoder);
  index["factory"] = content.factory;
  index["segments"] = nlohmann::json::array();
  for (const IndexSegment& segment : content.segments) {
    nlohmann::json entry{{"rows", segment.rows},
                         {"features", file_json(segment.features)},
                         {"table", file_json(segment.rows_file)}};
    if (segment.thumbnails) entry["thumbnails"] = file_json(*segment.thumbnails);
    index["segments"].push_back(std::move(entry));
  }
  if (content.arranged) {
    index["search"] = file_json(content.arranged->file);
    index["search"]["rows"] = content.arranged->rows;
  }
  return index;
}

}  // namespace

void write_index(const std::filesystem::path& folder, const IndexContent& content) {
  write_file_atomically(folder / index_file_name, json_text(index_json(content), 2) + "\n",
                        system_files_without_links());
}

}  // namespace kindred
