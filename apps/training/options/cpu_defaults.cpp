#include <kindred/apps/training/options/cpu_defaults.h>

#include <algorithm>
#include <array>

namespace kindred {
namespace {

struct CpuCandidate {
  const char* model;
  std::int64_t image_size;
  std::int64_t least_side;  // of the pictures: smaller ones would only be enlarged
  double views_a_second;    // that one thread trains
};

// Measured on two threads of a server's processor with AVX2, which other programs used as well, with the loading of the
// images: resnet20 trained 320 views a second, resnet18 90 at 64 pixels and 26 at 128. At 96 pixels it has 2.25 times the
// operations of 64.
constexpr std::array<CpuCandidate, 4> cpu_candidates = {
    {{"resnet20", 32, 0, 150}, {"resnet18", 64, 49, 45}, {"resnet18", 96, 97, 22}, {"resnet18", 128, 128, 13}}};

// About an hour: what was estimated need not be exact.
constexpr double most_seconds = 4500;

double seconds_on_cpu(const CpuCandidate& candidate, const CpuWork& work, std::int64_t epochs) {
  const double views = static_cast<double>(work.images) * static_cast<double>(work.views);
  return views * static_cast<double>(epochs) / (candidate.views_a_second * std::max(1, work.threads));
}

CpuDefault as_default(const CpuCandidate& candidate, const CpuWork& work, std::int64_t epochs) {
  return {{candidate.model, candidate.image_size}, epochs, seconds_on_cpu(candidate, work, epochs)};
}

}  // namespace

const std::vector<ModelAndSize>& models_for_cpu() {
  static const std::vector<ModelAndSize> all = [] {
    std::vector<ModelAndSize> models;
    for (const CpuCandidate& candidate : cpu_candidates)
      models.push_back({candidate.model, candidate.image_size});
    return models;
  }();
  return all;
}

const std::vector<std::int64_t>& epochs_for_cpu() {
  static const std::vector<std::int64_t> all = {100, 50, 30, 20, 10, 5, 2, 1};
  return all;
}

CpuDefault default_on_cpu(const CpuWork& work) {
  const std::int64_t wanted = work.epochs.value_or(epochs_for_cpu().front());
  for (auto candidate = cpu_candidates.rbegin(); candidate != cpu_candidates.rend(); ++candidate)
    if (work.short_side >= candidate->least_side && seconds_on_cpu(*candidate, work, wanted) <= most_seconds)
      return as_default(*candidate, work, wanted);
  const CpuCandidate& smallest = cpu_candidates.front();
  if (work.epochs) return as_default(smallest, work, *work.epochs);
  for (const std::int64_t epochs : epochs_for_cpu())
    if (seconds_on_cpu(smallest, work, epochs) <= most_seconds) return as_default(smallest, work, epochs);
  return as_default(smallest, work, epochs_for_cpu().back());
}

}  // namespace kindred
