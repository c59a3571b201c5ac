// The settings of runs as rows of text: what config.json says, and what differs.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace kindred {

// The values of config.json by their paths ("loss_options.variant"), as text; lists and the augmentation as JSON. At most 1,000
// values of at most 2,000 letters, whatever the file holds.
std::map<std::string, std::string> settings_in(const nlohmann::json& config);

// The default that pretrain has for each setting of this run (the options depend on each other, so of the same image size,
// optimizer and epochs). Without those that depend on the machine or on the set.
std::map<std::string, std::string> default_settings(const nlohmann::json& config);

struct SettingRow {
  std::string name{};
  std::vector<std::string> values{};  // of each run; empty: it says none
  std::string usual{};                // the default; empty: it is not known
  bool differs = false;               // one run: from the default; several: from each other
};

// The bytes that rows of settings may take on a page together: values may be long, and escaped they are longer.
struct SettingRoom {
  std::size_t bytes = 1'000'000, left_out = 0;

  // The row of a table as HTML, or nothing if there is no room for it.
  std::string given_to(std::string row);
  // Says how many have found none, as a paragraph; empty if all have.
  std::string note() const;
};

// What the runs set. First the rows that differ, then the others, each by name. What every run has to say differently (the time
// of its start, its command) stands among the others.
std::vector<SettingRow> setting_rows(const std::vector<const nlohmann::json*>& configs);

}  // namespace kindred
