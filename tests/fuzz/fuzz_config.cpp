// RUN/config.json, which --resume compares with the current settings: the differences, or an error.
#include "fuzz_target.h"
#include "one_file.h"

#include <kindred/apps/training/run/same_run.h>
#include <kindred/engine/error.h>

#include <nlohmann/json.hpp>

using namespace kindred;

namespace {

const nlohmann::json settings = {{"model", "resnet20"},
                                 {"lr", 0.1},
                                 {"workers", 2},
                                 {"images", 40},
                                 {"data_fingerprint", "0123456789abcdef"},
                                 {"loss_options", {{"variant", "out"}, {"margin", nullptr}}}};

void run(std::span<const std::uint8_t> bytes) {
  static const fuzz::OneFile file("kindred_fuzz_config");
  file.write(bytes, "config.json");
  try {
    for (const std::string& change : changed_settings(file.folder(), settings))
      KINDRED_FUZZ_CHECK(change.find('\n') == std::string::npos);
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
  }
}

std::vector<fuzz::Bytes> seeds() {
  std::vector<fuzz::Bytes> files;
  nlohmann::json other = settings;
  other["lr"] = 0.2;
  other["loss_options"]["variant"] = std::vector<int>{1, 2};
  for (const nlohmann::json& each : {settings, other, nlohmann::json::array({1, "\n", nullptr})}) {
    const std::string text = each.dump(1);
    files.emplace_back(text.begin(), text.end());
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(config, run, seeds)
