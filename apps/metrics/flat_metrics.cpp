#include <kindred/apps/metrics/flat_metrics.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

using VisitMetric = std::function<void(const std::string&, const nlohmann::json&)>;

void visit_object(const std::string& prefix, const nlohmann::json& object, const VisitMetric& visit) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object())
      visit_object(prefix + name + "/", value, visit);
    else if (value.is_number() || value.is_array())
      visit(prefix + name, value);
  }
}

}  // namespace

void visit_metrics(const nlohmann::json& line, const VisitMetric& visit) {
  if (line.is_object()) visit_object("", line, visit);
}

}  // namespace kindred
