// How fast a GPU does the work that a WorkLog counts: a table of named rates, each with its source.
//
// Kindred's own tables are apps/training/gpu_rates/*.json; a user's file has the same form (docs/running.md). A
// rate applies to all kinds of work whose names begin with its own name, up to a dot. For example,
// "conv2d.forward" applies to "conv2d.forward.3x3", unless there is a rate with exactly that name. "other"
// applies to everything else.
#pragma once

#include <kindred/engine/kernels/work.h>
#include <kindred/engine/precision.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kindred {

struct GpuRates {
  // Multiplications and additions per second, by the type of the factors. Without a rate for tf32, that of f32
  // applies.
  struct Arithmetic {
    double f32 = 0, tf32 = 0, bf16 = 0, f16 = 0;  // 0: not given
    double of(DType factors, bool in_tf32) const;
  };

  std::string gpu;    // "NVIDIA H200"
  double memory = 0;  // bytes
  double launch = 0;  // seconds per recorded kernel besides its work: it starts, fills the GPU and empties it
  double call = 0;    // seconds that the host needs to start a kernel that is not recorded
  double recording = 0;                                       // seconds to start a recording
  double host_link = 0;                                       // bytes per second from the host's memory
  std::map<std::string, double, std::less<>> bandwidth;       // bytes per second, read and written
  std::map<std::string, Arithmetic, std::less<>> arithmetic;  // only for kinds that multiply

  // The time on the GPU, in seconds.
  double seconds(const WorkKind& kind, const Work& work, const Precision& precision) const;
};

// The names of Kindred's own tables: a100, h100, h200.
std::vector<std::string> gpu_names();

// The table of that name, or a user's file, *.json. Throws Error(usage) for an unknown name, and Error(file)
// for a file that cannot be read or has the wrong content.
GpuRates gpu_rates(const std::string& name_or_file);

// `text` is the content of a file called `file`.
GpuRates parse_gpu_rates(std::string_view text, const std::string& file);

// The text of one of Kindred's own tables; the build generates it from the files.
struct ShippedRates {
  const char *name, *text;
};
extern const std::vector<ShippedRates> shipped_rates;

}  // namespace kindred
