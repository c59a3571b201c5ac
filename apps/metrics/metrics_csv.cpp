#include <kindred/apps/metrics/flat_metrics.h>
#include <kindred/apps/metrics/metrics_csv.h>

#include <nlohmann/json.hpp>

#include <map>
#include <set>

namespace kindred {

std::string metrics_as_csv(const std::vector<nlohmann::json>& lines) {
  std::vector<std::map<std::string, std::string>> rows;
  std::set<std::string> columns;
  for (const nlohmann::json& line : lines) {
    std::map<std::string, std::string>& row = rows.emplace_back();
    visit_metrics(line, [&](const std::string& name, const nlohmann::json& value) {
      if (!value.is_number()) return;
      row[name] = value.dump();
      if (name != "epoch") columns.insert(name);
    });
    const auto time = line.is_object() ? line.find("time") : line.end();
    if (line.is_object() && time != line.end() && time->is_string()) row["time"] = time->get<std::string>();
  }
  std::string text = "epoch,time";
  for (const std::string& name : columns) text += "," + name;
  text += "\n";
  for (std::map<std::string, std::string>& row : rows) {
    text += row["epoch"] + "," + row["time"];
    for (const std::string& name : columns) text += "," + row[name];
    text += "\n";
  }
  return text;
}

}  // namespace kindred
