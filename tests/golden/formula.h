// The formula that stands in for weight files: numbers that C++ and Python (golden_formula.py) compute with the
// same bits.
//
// formula(name, n, low, high)[i] = float(low + (high - low) * u_i), where u_i is number i of the stream
// RandomStream(fnv1a64(name), Purpose::test): block i/4, word i%4 of Philox, 24 bits, in [0, 1).
//
// The flat index i runs over a filter in torchvision's order, [out, in, kh, kw], and over images and
// activations in Kindred's order, [N, H, W, C]. golden_formula.py has the details; make_golden.py makes the
// fixtures.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>  // defines: nlohmann::json
#include <span>
#include <string>
#include <vector>

namespace kindred::golden {

// FNV-1a hash, 64 bits.
std::uint64_t fnv1a64(const std::string& name);

// n values in [low, high) that depend on the name. Every value is a float, stored as a double.
std::vector<double> formula(const std::string& name, std::int64_t n, float low, float high);

// n labels in {0, ..., classes-1}: floor(classes * u), u = formula(name, n, 0, 1).
std::vector<std::int32_t> formula_labels(const std::string& name, std::int64_t n, std::int32_t classes);

// The range of each kind of parameter; a running mean is 0, a running variance 1. fan_in: in * kh * kw, or in.
struct Range {
  float low, high;
};
Range conv_weight_range(std::int64_t fan_in);    // +-sqrt(6 / fan_in)
Range linear_weight_range(std::int64_t fan_in);  // +-sqrt(3 / fan_in)
inline constexpr Range linear_bias_range{-0.1f, 0.1f};
inline constexpr Range batch_norm_weight_range{0.5f, 1.5f};
inline constexpr Range batch_norm_bias_range{-0.3f, 0.3f};  // or the fixture's "bn_bias": see golden_formula.py
inline constexpr Range image_range{-2.0f, 2.0f};

// What a fixture stores of a large array. Projection k is its dot product with formula("projection{k}:NAME", n,
// -1, 1). The sum of (projection of e)^2 over three projections estimates |e|^2, for any difference e.
double norm(std::span<const double> values);
double projection(int k, const std::string& name, std::span<const double> values);

// Reads golden_dir()/<name>.json, for example load_fixture("resnet18").
nlohmann::json load_fixture(const std::string& name);

}  // namespace kindred::golden
