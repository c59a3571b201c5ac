#include <kindred/apps/processes/agreement.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/run/shared/shared_start.h>
#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <type_traits>

namespace kindred {
namespace {

// Only of options that have a row with preset(), as all of GivenOptions do. Flags name them.
nlohmann::json json_of_given(const GivenOptions& given) {
  nlohmann::json json = nlohmann::json::object();
  for_each_option([&](const auto& row) {
    if (row.given != nullptr && given.*row.given) json[row.name()] = *(given.*row.given);
  });
  return json;
}

GivenOptions given_in(const nlohmann::json& json) {
  GivenOptions given;
  for_each_option([&](const auto& row) {
    using Written = typename std::decay_t<decltype(row)>::Written;
    if (row.given == nullptr || !json.contains(row.name())) return;
    given.*row.given = json.at(row.name()).template get<Written>();
  });
  return given;
}

}  // namespace

void first_alone(const Communicator& processes, const std::function<void()>& work) {
  if (processes.is_alone()) return work();
  const LongerLimit patience(seconds_for_files);
  if (processes.is_first()) work();
  processes.barrier();
}

nlohmann::json of_first(const Communicator& processes, const std::function<nlohmann::json()>& make) {
  if (processes.is_alone()) return make();
  nlohmann::json made;
  if (processes.is_first()) made = make();
  return parse_json(processes.broadcast(json_text(made)));
}

GivenOptions options_of_first(const Communicator& processes, const std::function<GivenOptions()>& choose) {
  if (processes.is_alone()) return choose();
  return given_in(of_first(processes, [&] { return json_of_given(choose()); }));
}

void share_tensors(const Communicator& processes, ParameterStore& store,
                   const Checkpoint::NamedTensors& others) {
  if (processes.is_alone()) return;
  Checkpoint::NamedTensors all = store.tensors();
  all.insert(all.end(), others.begin(), others.end());
  for (const auto& [name, tensor] : all) processes.broadcast(Output(tensor));
  store.refresh_low_precision();
}

RunState state_of_first(const Communicator& processes, const RunState& own) {
  if (processes.is_alone()) return own;
  return RunState::from_json(of_first(processes, [&] { return own.to_json(); }));
}

void check_same_everywhere(const Communicator& processes, const nlohmann::json& config) {
  if (processes.is_alone()) return;
  agree(processes, "images", json_text(config.at("data_fingerprint")), "give the same data set everywhere");
  // The same images may lie elsewhere, and machines differ in their cores.
  constexpr std::array<std::string_view, 8> of_machine = {
      "data", "labels", "workers", "data_fingerprint", "shards", "val_shards", "shard_cache", "shard_timeout"};
  std::string settings;
  for (const auto& [key, value] : config.items()) {
    if (std::find(of_machine.begin(), of_machine.end(), key) != of_machine.end()) continue;
    nlohmann::json said = value;
    if (key == "evaluated_on" && said.is_object()) said.erase("folder");
    settings += key + ": " + json_text(said) + "\n";
  }
  agree(processes, "settings", settings);
}

}  // namespace kindred
