// How fast a GPU does what a WorkLog counts: a table of named rates, each with its source.
//
// The tables that come with Kindred are apps/common/gpu_rates/*.json; a user's file has the same form
// (docs/running.md). A rate holds for all kinds of work whose names begin with its own, up to a dot: that of
// "conv2d.forward" for "conv2d.forward.3x3", unless there is one of just that name. "other" is for the
// rest.
#pragma once

#include <kindred/engine/precision.h>
#include <kindred/engine/work.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct GpuRates {
  // Multiplications and additions a second, by the type of the factors. Where there is no tf32, f32 holds.
  struct Arithmetic {
    double f32 = 0, tf32 = 0, bf16 = 0, f16 = 0;  // 0: not given
    double of(DType factors, bool in_tf32) const;
  };

  std::string gpu;    // "NVIDIA H200"
  double memory = 0;  // bytes
  double launch = 0;  // seconds of a recorded kernel beside its work: it starts, fills the GPU and empties it
  double call = 0;    // seconds that the host takes for a kernel that is not recorded
  double recording = 0;                                       // seconds that starting a recording takes
  double host_link = 0;                                       // bytes a second from the host's memory
  std::map<std::string, double, std::less<>> bandwidth;       // bytes a second, read and written
  std::map<std::string, Arithmetic, std::less<>> arithmetic;  // only for kinds that multiply

  // Seconds on the GPU.
  double seconds(const WorkKind& kind, const Work& work, const Precision& precision) const;
};

// Names of the tables that come with Kindred: a100, h100, h200.
std::vector<std::string> gpu_names();

// The table of that name, or a user's file, *.json. Error(usage) for an unknown name, Error(file) for a file
// that cannot be read or does not fit.
GpuRates gpu_rates(const std::string& name_or_file);

// `text` is that of a file called `file`.
GpuRates parse_gpu_rates(std::string_view text, const std::string& file);

// The text of a table that comes with Kindred; the build makes it from the files.
struct ShippedRates {
  const char *name, *text;
};
extern const std::vector<ShippedRates> shipped_rates;

}  // namespace kindred
