#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/data/files/file.h>
#include <kindred/data/files/json_fields.h>
#include <kindred/engine/files/safetensors_header.h>  // defines: printable

#include <nlohmann/json.hpp>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t largest_file = std::size_t{1} << 18;
constexpr const char* fallback = "other";

// The rate with the longest name that `kind` begins with, up to a dot.
template <typename Rate>
const Rate& rate_of(const std::map<std::string, Rate, std::less<>>& rates, std::string_view kind) {
  for (std::string_view part = kind;; part = part.substr(0, part.rfind('.'))) {
    if (const auto found = rates.find(part); found != rates.end()) return found->second;
    if (part.find('.') == std::string_view::npos) return rates.at(fallback);
  }
}

bool is_known(std::string_view name) {
  return name == fallback ||
         std::any_of(WorkKind::all().begin(), WorkKind::all().end(), [&](const WorkKind* kind) {
           return kind->name() == name || (kind->name().starts_with(name) && kind->name()[name.size()] == '.');
         });
}

// Reads {"us": 3, "source": "..."}: the key of the number is its unit, and the source says where it is from.
double one_rate(const Json& value, const JsonPath& where, const char* unit, Range range, double unit_size) {
  Fields fields(value, where);
  fields.require(unit);
  double number = 0;
  fields.number(unit, range, number);
  if (const Json* source = fields.find("source")) text_of(*source, where.at("source"));
  fields.done();
  return number * unit_size;
}

constexpr Range any_rate{1e-6, 1e6};

GpuRates::Arithmetic arithmetic_of(const Json& value, const JsonPath& where, bool all) {
  Fields fields(value, where);
  GpuRates::Arithmetic rates;
  const auto read = [&](const char* key, double& rate) {
    if (all && std::string_view(key) != "tf32") fields.require(key);
    fields.number(key, any_rate, rate);
    rate *= 1e12;
  };
  read("f32", rates.f32);
  read("tf32", rates.tf32);
  read("bf16", rates.bf16);
  read("f16", rates.f16);
  if (const Json* source = fields.find("source")) text_of(*source, where.at("source"));
  fields.done();
  return rates;
}

// Calls read(name, value, where) for each rate of an object. The object must contain "other".
template <typename Read>
void for_each_rate(const Json& value, const JsonPath& where, Read&& read) {
  if (!value.is_object()) where.fail_here("expected an object of rates, not {}", shown(value));
  if (!value.contains(fallback))
    where.fail_here("\"{}\" is missing, the rate of every kind of work without its own", fallback);
  for (const auto& [name, rate] : value.items()) {
    if (!is_known(name))
      where.fail_here("{} is not a kind of work; --dry-run --gpu lists those of a run", printable(name));
    read(name, rate, where.at(name));
  }
}

}  // namespace

double GpuRates::Arithmetic::of(DType factors, bool in_tf32) const {
  if (factors == DType::bf16) return bf16;
  if (factors == DType::f16) return f16;
  return in_tf32 && tf32 > 0 ? tf32 : f32;
}

double GpuRates::seconds(const WorkKind& kind, const Work& work, const Precision& precision) const {
  const double moving = static_cast<double>(work.read + work.written) / rate_of(bandwidth, kind.name());
  double multiplying = 0;
  if (work.operations > 0) {
    double rate = rate_of(arithmetic, kind.name()).of(work.factors, precision.tf32);
    if (rate == 0) rate = arithmetic.at(fallback).of(work.factors, precision.tf32);
    multiplying = work.operations * work.unevenness / rate;
  }
  return work.launches * launch + std::max(moving, multiplying);
}

std::vector<std::string> gpu_names() {
  std::vector<std::string> names;
  for (const ShippedRates& each : shipped_rates) names.push_back(each.name);
  return names;
}

GpuRates gpu_rates(const std::string& name_or_file) {
  for (const ShippedRates& each : shipped_rates)
    if (name_or_file == each.name) return parse_gpu_rates(each.text, name_or_file + ".json");
  check(name_or_file.ends_with(".json"), ExitCode::usage,
        "--gpu {}: expected {}, or a file of rates (RATES.json)", printable(name_or_file), joined(gpu_names()));
  const FileContent file = read_file(name_or_file, largest_file);
  check(file.ok(), ExitCode::file, "--gpu {}: {}", name_or_file, file.reason);
  return parse_gpu_rates({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()}, name_or_file);
}

GpuRates parse_gpu_rates(std::string_view text, const std::string& file) {
  const JsonPath top{.file = file, .path = ""};
  const Json json = parse_strictly(text, top);
  Fields fields(json, top);
  const auto one = [&](const char* key, const char* unit, Range range, double unit_size) {
    return one_rate(fields.require(key), top.at(key), unit, range, unit_size);
  };
  GpuRates rates;
  rates.gpu = text_of(fields.require("gpu"), top.at("gpu"));
  const auto is_control = [](unsigned char c) { return c < ' ' || c == 0x7f; };
  if (rates.gpu.empty() || std::any_of(rates.gpu.begin(), rates.gpu.end(), is_control))
    top.at("gpu").fail_here("expected a name in one line, not {}", printable(rates.gpu));
  rates.memory = one("memory", "gib", {0.01, 1e5}, std::size_t{1} << 30);
  rates.launch = one("launch", "us", {0, 1e6}, 1e-6);
  rates.call = one("call", "us", {0, 1e6}, 1e-6);
  rates.recording = one("recording", "us", {0, 1e6}, 1e-6);
  rates.host_link = one("host_link", "gb_per_s", any_rate, 1e9);
  for_each_rate(fields.require("bandwidth"), top.at("bandwidth"),
                [&](const std::string& name, const Json& rate, const JsonPath& where) {
                  rates.bandwidth[name] = one_rate(rate, where, "tb_per_s", any_rate, 1e12);
                });
  for_each_rate(fields.require("tflop_per_s"), top.at("tflop_per_s"),
                [&](const std::string& name, const Json& rate, const JsonPath& where) {
                  rates.arithmetic[name] = arithmetic_of(rate, where, name == fallback);
                });
  fields.done();
  return rates;
}

}  // namespace kindred
