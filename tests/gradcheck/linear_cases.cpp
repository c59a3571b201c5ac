#include "gradcheck.h"

#include <kindred/layers/linear/linear.h>

namespace kindred::gradcheck {
namespace {

Case linear_case(const std::string& variant, std::int64_t rows, std::int64_t in, std::int64_t out, bool small) {
  return {.operation = "linear",
          .variant = variant,
          .inputs = {uniform({rows, in}), uniform({out, in}, Role::weight), uniform({out}, Role::master)},
          .function =
              [](const std::vector<Tensor>& in_tensors) {
                return linear(in_tensors[0], in_tensors[1], in_tensors[2]);
              },
          .central_differences = small};
}

Case linear_relu_case(const std::string& variant, std::int64_t rows, std::int64_t in, std::int64_t out,
                      bool small) {
  Case test_case = linear_case(variant, rows, in, out, small);
  test_case.operation = "linear_relu";
  test_case.function = [](const std::vector<Tensor>& in_tensors) {
    return linear_relu(in_tensors[0], in_tensors[1], in_tensors[2]);
  };
  return test_case;
}

const bool added[] = {
    add_case(linear_case("small", 5, 7, 3, true)),
    add_case(linear_case("one row", 1, 4, 6, true)),
    add_case(linear_case("odd sizes", 67, 129, 31, false)),
    add_case({.operation = "linear",
              .variant = "without bias",
              .inputs = {uniform({4, 5}), uniform({6, 5}, Role::weight)},
              .function = [](const std::vector<Tensor>& in) { return linear(in[0], in[1], Tensor()); }}),
    add_case(linear_relu_case("small", 5, 7, 3, true)),
    add_case(linear_relu_case("odd sizes", 67, 33, 31, false)),
    add_case({.operation = "linear_relu",
              .variant = "without bias",
              .inputs = {uniform({4, 5}), uniform({6, 5}, Role::weight)},
              .function = [](const std::vector<Tensor>& in) { return linear_relu(in[0], in[1], Tensor()); }}),
};

}  // namespace
}  // namespace kindred::gradcheck
