#include <kindred/apps/training/run/non_finite.h>
#include <kindred/apps/training/run/run_folder.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace kindred {
namespace {

bool is_floating(const Tensor& tensor) {
  return tensor.defined() && tensor.dtype() != DType::u8 && tensor.dtype() != DType::i32;
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// The label of the entry that produced the tensor, or else of the entry that keeps it.
std::string maker_of(const Tape& tape, const Tensor& tensor, const Tape::Entry& keeper) {
  for (const Tape::Entry& entry : tape.entries())
    for (const Tape::Edge& output : entry.outputs)
      if (output.id == tensor.id()) return entry.label.empty() ? entry.operation->name() : entry.label;
  return keeper.label.empty() ? keeper.operation->name() : keeper.label;
}

}  // namespace

NonFiniteSource find_non_finite(const Tape& tape, std::int64_t rows, std::int64_t first) {
  std::int64_t place = -1;
  for (const Tape::Entry& entry : tape.entries())
    for (const Tensor& kept : entry.saved) {
      ++place;
      if (!is_floating(kept)) continue;
      const std::vector<float> values = kept.to_vector<float>();
      if (all_finite(values)) continue;
      NonFiniteSource source{.layer = maker_of(tape, kept, entry), .rows = {}, .place = place};
      if (kept.shape().rank() >= 2 && kept.dim(0) == rows) {
        const auto row_size = values.size() / static_cast<std::size_t>(rows);
        for (std::int64_t row = 0; row < rows; ++row)
          if (!all_finite(std::span(values).subspan(static_cast<std::size_t>(row) * row_size, row_size)))
            source.rows.push_back(first + row);
      }
      return source;
    }
  return {};
}

std::string report_non_finite(const NonFiniteStep& step, const std::filesystem::path& path, bool writes) {
  std::set<std::string> culprits;
  for (const std::int64_t row : step.source.rows)
    culprits.insert(step.images[static_cast<std::size_t>(row) % step.images.size()]);
  if (writes)
    write_json(path,
               {{"step", step.step},
                {"epoch", step.epoch},
                {"batch", step.batch},
                {"loss", std::isfinite(step.loss) ? nlohmann::json(step.loss)
                                                  : nlohmann::json(fmt::format("{}", step.loss))},
                {"layer", step.source.layer},
                {"gradient_of", step.parameter},
                {"images", culprits},
                {"batch_images", step.images}},
               system_files_without_links());
  std::string what = fmt::format("step {} (epoch {}, batch {}): ", step.step, step.epoch, step.batch);
  if (std::isfinite(step.loss))
    what += step.parameter.empty() ? "a gradient is not finite"  // later steps have overwritten its name
                                   : fmt::format("the gradient of {} is not finite", step.parameter);
  else
    what += "the loss is not finite" +
            (step.source.layer.empty() ? "" : fmt::format(", nor is what {} gives", step.source.layer));
  if (!culprits.empty() && culprits.size() < std::set(step.images.begin(), step.images.end()).size())
    what += fmt::format(" for {}{}", *culprits.begin(),
                        culprits.size() > 1 ? fmt::format(" and {} more", culprits.size() - 1) : "");
  return what + fmt::format("; its images are listed in {}", path.string());
}

}  // namespace kindred
