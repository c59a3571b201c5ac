#include "gradcheck.h"

#include <kindred/layers/batch_norm/batch_norm.h>

#include <cmath>

namespace kindred::gradcheck {
namespace {

struct Variant {
  Shape x;
  bool relu, residual;
  Mode mode;
};

// Running statistics that are neither 0 nor 1, different for each channel.
Tensor running(const Tensor& scale, double base) {
  std::vector<double> values(static_cast<std::size_t>(scale.numel()));
  for (std::size_t c = 0; c < values.size(); ++c) values[c] = base + 0.03 * static_cast<double>(c % 7);
  return Tensor::from(values, scale.shape(), scale.device()).to(scale.device(), scale.dtype());
}

Case bn_case(const Variant& v, bool small) {
  const Shape channels{v.x.back()};
  Case c{.operation = "batch_norm",
         .variant = fmt::format("{}{}{}{}", v.x.to_string(), v.residual ? " residual" : "",
                                v.relu ? " relu" : "", v.mode == Mode::train ? "" : " evaluation"),
         .inputs = {uniform(v.x, Role::activation, -2, 3), uniform(channels, Role::master, 0.5, 1.5),
                    uniform(channels, Role::master)},
         .function =
             [v](const std::vector<Tensor>& in) {
               return batch_norm({in[0], in[1], in[2], v.residual ? in[3] : Tensor(), v.relu, v.mode,
                                  running(in[1], 0.2), running(in[1], 1.1)});
             },
         .central_differences = small};
  if (v.residual) c.inputs.push_back(uniform(v.x));
  return c;
}

const bool added[] = {
    add_case(bn_case({{3, 2, 2, 5}, false, false, Mode::train}, true)),
    add_case(bn_case({{3, 2, 2, 5}, true, false, Mode::train}, true)),
    add_case(bn_case({{2, 3, 1, 8}, true, true, Mode::train}, true)),
    add_case(bn_case({{2, 3, 1, 3}, false, true, Mode::train}, true)),
    add_case(bn_case({{3, 2, 2, 5}, true, true, Mode::evaluate}, true)),
    add_case(bn_case({{3, 1, 1, 4}, false, false, Mode::train}, true)),
    add_case(bn_case({{7, 15, 13, 16}, true, true, Mode::train}, false)),
    add_case(bn_case({{5, 9, 7, 19}, true, true, Mode::train}, false)),
    add_case(bn_case({{33, 7, 5, 64}, false, false, Mode::train}, false)),
    add_case(bn_case({{4, 5, 5, 24}, true, false, Mode::evaluate}, false)),
    // On a GPU: many rows, so that several blocks add up a channel; and channels that do not fill a block.
    add_case(bn_case({{9, 10, 50, 1}, true, false, Mode::train}, false)),
    add_case(bn_case({{5, 21, 11, 3}, true, true, Mode::train}, false)),
    add_case(bn_case({{3, 7, 5, 12}, false, true, Mode::train}, false)),
    add_case(bn_case({{6, 9, 8, 20}, true, false, Mode::train}, false)),
    add_case(bn_case({{3, 20, 20, 64}, true, true, Mode::train}, false)),
    add_case(bn_case({{2, 9, 8, 136}, true, true, Mode::train}, false)),
    add_case(bn_case({{2, 3, 5, 264}, true, false, Mode::train}, false)),
    add_case(bn_case({{4, 3, 3, 37}, true, true, Mode::evaluate}, false)),
};

}  // namespace
}  // namespace kindred::gradcheck
