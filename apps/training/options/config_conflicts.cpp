#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/progress.h>  // defines: one_line
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/config_conflicts.h>
#include <kindred/engine/device.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <system_error>

namespace kindred {
namespace {

void say_left_out(const std::string& file, const std::vector<std::string>& flags, const std::string& reason) {
  if (!flags.empty())
    fmt::print("{}\n", one_line(fmt::format("left out of {}: {} ({})", file, fmt::join(flags, ", "), reason)));
}

bool a_gpu_answers() {
  try {
    return choose_device("cuda").device == Device::cuda;
  } catch (const Error&) {
    return false;
  }
}

void leave_out_device(const ConfigBesideFlags& beside, PretrainOptions& plain, GivenOptions& config) {
  if (beside.line.has("--device")) return;
  const std::string& device = beside.device.empty() ? plain.device : beside.device;
  const bool predicts = !plain.gpu.empty() && device != "auto" && device != "cuda";
  const bool is_missing = plain.gpu.empty() && device == "cuda" && !a_gpu_answers();
  if (!predicts && !is_missing) return;
  std::vector<std::string> left_out;
  if (plain.device != "auto") left_out.push_back("--device");
  plain.device = "auto";
  if (config.precision && !beside.typed.precision) left_out.push_back("--precision");
  config.precision.reset();
  say_left_out(beside.file, left_out, predicts ? "--gpu predicts for a GPU" : "no GPU answers here");
}

void leave_out_of_other_loss(const ConfigBesideFlags& beside, PretrainOptions& plain, GivenOptions& config) {
  if (!beside.line.has("--loss")) return;
  LossOptions loss;
  loss.kind = parse_loss(plain.loss);
  std::vector<std::string> left_out = plain.loss_flags.leave_out_unused(
      loss.kind, [&](const std::string& flag) { return beside.line.has(flag); });
  if (!loss.is_softmax() && plain.queue != 0 && !beside.line.has("--queue")) {
    plain.queue = 0;
    left_out.push_back("--queue");
  }
  if (!loss.is_softmax() && config.momentum_encoder && !beside.typed.momentum_encoder) {
    if (*config.momentum_encoder > 0) left_out.push_back("--momentum-encoder");
    config.momentum_encoder.reset();
  }
  say_left_out(beside.file, left_out, "not for --loss " + plain.loss);
}

void leave_out_best(const ConfigBesideFlags& beside, PretrainOptions& plain) {
  if (!plain.best || !beside.line.has("--weights") || beside.line.has("--best")) return;
  plain.best = false;
  say_left_out(beside.file, {"--best"}, "it is about other weights");
}

void leave_out_rates(const ConfigBesideFlags& beside, GivenOptions& config) {
  const auto &now = beside.typed.optimizer, &of_file = config.optimizer;
  if (!now || !of_file || (*now == "adamw") == (*of_file == "adamw")) return;
  std::vector<std::string> left_out;
  const auto leave_out = [&](const char* flag, std::optional<double> GivenOptions::*option) {
    if (config.*option && !(beside.typed.*option)) left_out.emplace_back(flag);
    (config.*option).reset();
  };
  leave_out("--lr", &GivenOptions::lr);
  leave_out("--warmup-start-lr", &GivenOptions::warmup_start_lr);
  leave_out("--weight-decay", &GivenOptions::weight_decay);
  say_left_out(beside.file, left_out, "for --optimizer " + *of_file);
}

void leave_out_val_fraction(const ConfigBesideFlags& beside, PretrainOptions& plain) {
  DataFlags& data = plain.data;
  std::error_code ignored;
  const bool is_same =
      data.path == beside.data_path || std::filesystem::equivalent(data.path, beside.data_path, ignored);
  if (beside.goes_on || beside.data_path.empty() || is_same || beside.line.has("--val-fraction")) return;
  if (!data.val_fraction || *data.val_fraction != 0) return;
  data.val_fraction.reset();
  say_left_out(beside.file, {"--val-fraction"}, "0 was right for its own data set");
}

// Whether the text has this flag, and not one that begins with it.
bool mentions(const std::string& text, const std::string& flag) {
  for (std::size_t at = text.find(flag); at != std::string::npos; at = text.find(flag, at + 1)) {
    const std::size_t end = at + flag.size();
    const char next = end < text.size() ? text[end] : ' ';
    if (next != '-' && (next < 'a' || next > 'z') && (next < '0' || next > '9')) return true;
  }
  return false;
}

}  // namespace

void leave_out_conflicts(const ConfigBesideFlags& beside, PretrainOptions& plain, GivenOptions& config) {
  leave_out_device(beside, plain, config);
  leave_out_of_other_loss(beside, plain, config);
  leave_out_best(beside, plain);
  leave_out_rates(beside, config);
  leave_out_val_fraction(beside, plain);
}

void rethrow_naming_config(const Error& error, const std::string& file, const std::vector<std::string>& flags) {
  const std::string message = error.what();
  const std::string problem = message.substr(0, message.find(';'));  // without the advice
  std::vector<std::string> given;
  std::copy_if(flags.begin(), flags.end(), std::back_inserter(given),
               [&](const std::string& flag) { return mentions(problem, flag); });
  if (given.empty() || error.code() != ExitCode::usage) throw;
  throw Error(error.code(), fmt::format("{}; {} gives {}", message, file, fmt::join(given, " and ")),
              error.cause());
}

}  // namespace kindred
