// The gradient registry: every differentiable function has at least one case here, and the suite fails if one
// has none (tests/gradcheck/registry_test.cpp).
//
// A case says how to make inputs and what to compute. The suite makes two tests from each case:
//   gradient  on `reference` in double: the backward pass against central differences, under a random
//             cotangent; the same with fan-out (the function used twice) and into a gradient buffer that
//             already holds something
//   ladder    `cpu` against `reference` in f32 and bf16, and `cuda`, if there is a GPU, also in f16: results
//             and gradients, with poisoned memory
#pragma once

#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/engine/tensor.h>

#include <functional>
#include <string>
#include <vector>

namespace kindred::gradcheck {

enum class Role {
  activation,  // in the compute type (bf16 in the low-precision ladder), gradient in the same type
  weight,      // a bf16 copy of an f32 master, gradient in f32
  master,      // always f32: biases, normalization scales
  constant,    // an activation that needs no gradient
};

struct Input {
  Shape shape;
  Role role = Role::activation;
  std::function<void(std::vector<double>&, RandomStream&)> fill;
};

// Uniform in [low, high).
Input uniform(const Shape& shape, Role role = Role::activation, double low = -1, double high = 1);
// Like uniform, but no value is nearer to zero than `gap`: for functions with a kink at zero.
Input away_from_zero(const Shape& shape, Role role = Role::activation, double gap = 0.05);
// All values differ by at least 0.01, in random order: for maxima.
Input distinct(const Shape& shape, Role role = Role::activation);

struct Case {
  std::string operation;  // the Operation's name
  std::string variant;    // what is particular about this case
  std::vector<Input> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> function;
  bool central_differences = true;  // false for shapes too large for them: ladder only
  bool bf16 = true;                 // false where the cpu kernel has no bf16
  // Norm-wise relative tolerances of the ladder. f32: 1e-5 is about 2^-24 times the square root of the longest
  // sum in the cases, with room. bf16: each stored value is rounded to 2^-9 relative.
  double f32_tolerance = 1e-5;
  double bf16_tolerance = 1e-2;
};

// Adds a case; call it from a namespace-scope initializer: const bool added = add_case({...});
bool add_case(Case new_case);
const std::vector<Case>& all_cases();

// Norm-wise relative difference |a - b| / max(|b|, tiny). NaN anywhere makes it infinite.
double relative_difference(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace kindred::gradcheck
