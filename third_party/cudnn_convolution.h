// Plans of convolutions, chosen once for each shape and kept.
#pragma once

#include <kindred/third_party/cudnn_graph.h>

#include <compare>
#include <string>
#include <vector>

namespace kindred::cudnn {

// Tensors of its graph: 0 images, 1 filters, 2 results (as Graph::convolution names them), 3 the addend of a data
// gradient.
struct ConvolutionKey {
  Graph::Kind kind;
  DType dtype;         // of x and y
  DType weight_dtype;  // of the filters, or of their gradient
  std::int64_t n, h, w, c;
  std::int64_t k, kh, kw, stride, pad;
  std::int64_t out_h, out_w;
  bool with_addend;
  auto operator<=>(const ConvolutionKey&) const = default;
  std::string to_string() const;  // "forward bf16 256x56x56x64 -> 64, 3x3, stride 1, pad 1"
};

// The fastest plan under the rules in force, or null where no engine supports it. The first call for a key times the
// candidates; later ones, and later runs after load_plans(), find it.
const Plan* plan_for(const ConvolutionKey& key);

// Takes the plan's workspace from the pool and starts it.
void run(const Plan& plan, const std::vector<Plan::Binding>& bindings);

// What plans must obey from now on; forgets those that were chosen under other rules.
void set_rules(const PlanRules& rules);

// Plans chosen so far, as a file beside the run, so that the next start need not time them again. A file of another
// GPU or version of cuDNN is ignored.
void save_plans(const std::string& path);
void load_plans(const std::string& path);

}  // namespace kindred::cudnn
