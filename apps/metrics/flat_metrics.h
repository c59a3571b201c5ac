// The numbers of a line of metrics.jsonl, each with one name.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <functional>
#include <string>

namespace kindred {

// Calls visit(name, value) for each number of the line, and of the objects in it, and for each list, in the order of names.
// What is inside an object is called "object/name". Text and null are left out.
void visit_metrics(const nlohmann::json& line,
                   const std::function<void(const std::string& name, const nlohmann::json& value)>& visit);

}  // namespace kindred
