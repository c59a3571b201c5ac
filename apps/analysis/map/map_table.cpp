#include <kindred/apps/analysis/map/map_table.h>
#include <kindred/apps/evaluation/csv_text.h>
#include <kindred/engine/error.h>

#include <fmt/core.h>

#include <cstddef>

namespace kindred {

std::string map_table(const ImageTable& table, std::span<const float> places) {
  check(std::ssize(places) == 2 * table.rows(), ExitCode::internal, "{} numbers as the places of {} images",
        places.size(), table.rows());
  std::string text = table.has_classes() ? "path,class,x,y\n" : "path,x,y\n";
  for (std::size_t i = 0; i < table.paths.size(); ++i) {
    text += csv_cell(table.paths[i]) + ",";
    if (table.has_classes()) {
      const std::int32_t label = table.labels[i];
      text += csv_cell(label < 0 ? "" : table.classes[static_cast<std::size_t>(label)]) + ",";
    }
    text += fmt::format("{},{}\n", places[2 * i], places[2 * i + 1]);
  }
  return text;
}

}  // namespace kindred
