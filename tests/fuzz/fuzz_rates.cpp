// Tables of a GPU's rates: one-line errors, or rates with which every kind of work takes a finite time.
#include "fuzz_target.h"

#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/engine/error.h>

#include <cmath>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  GpuRates rates;
  try {
    rates = parse_gpu_rates({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzz.json");
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
    KINDRED_FUZZ_CHECK(std::string_view(error.what()).find('\n') == std::string_view::npos);
    KINDRED_FUZZ_CHECK(std::string_view(error.what()).starts_with("fuzz.json: "));
    return;
  }
  KINDRED_FUZZ_CHECK(rates.gpu.find('\n') == std::string::npos);
  for (const WorkKind* kind : WorkKind::all())
    for (const DType factors : {DType::f32, DType::bf16, DType::f16})
      for (const bool tf32 : {false, true}) {
        const Work work{.read = 1000, .written = 1000, .operations = 1e6, .factors = factors};
        const double seconds = rates.seconds(*kind, work, Precision{DType::f32, tf32});
        KINDRED_FUZZ_CHECK(std::isfinite(seconds) && seconds > 0);
      }
}

std::vector<fuzz::Bytes> seeds() {
  std::vector<fuzz::Bytes> files;
  for (const ShippedRates& each : shipped_rates) {
    const std::string_view text = each.text;
    files.emplace_back(text.begin(), text.end());
  }
  const std::string_view small =
      R"({"gpu": "\u00e9", "memory": {"gib": 1}, "launch": {"us": 0}, "call": {"us": 0},
    "recording": {"us": 0}, "host_link": {"gb_per_s": 1}, "bandwidth": {"other": {"tb_per_s": 1e-6}},
    "tflop_per_s": {"other": {"f32": 1, "bf16": 1, "f16": 1}, "conv2d": {"tf32": 1e6}}})";
  files.emplace_back(small.begin(), small.end());
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(rates, run, seeds)
