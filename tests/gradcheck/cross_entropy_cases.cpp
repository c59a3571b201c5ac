#include "gradcheck.h"

#include <kindred/losses/cross_entropy/cross_entropy.h>

namespace kindred::gradcheck {
namespace {

Case cross_entropy_case(const std::string& variant, std::int64_t rows, std::int64_t classes, float smoothing,
                        bool small) {
  return {.operation = "cross_entropy",
          .variant = variant,
          .inputs = {uniform({rows, classes}, Role::activation, -3, 3)},
          .function =
              [=](const std::vector<Tensor>& in) {
                std::vector<std::int32_t> labels;
                for (std::int64_t i = 0; i < rows; ++i)
                  labels.push_back(static_cast<std::int32_t>(5 * i % classes));
                return cross_entropy(in[0], Tensor::from(labels, {rows}, in[0].device()), smoothing);
              },
          .central_differences = small};
}

const bool added[] = {
    add_case(cross_entropy_case("plain", 4, 6, 0, true)),
    add_case(cross_entropy_case("smoothed", 5, 3, 0.1f, true)),
    add_case(cross_entropy_case("two classes, one row", 1, 2, 0, true)),
    add_case(cross_entropy_case("odd sizes", 67, 1001, 0.05f, false)),
    add_case(cross_entropy_case("rows of whole 16-byte groups", 13, 1000, 0.1f, false)),
    add_case(cross_entropy_case("fewer classes than lanes", 21, 10, 0.1f, false)),
};

}  // namespace
}  // namespace kindred::gradcheck
