// The C++ formula gives the same bits as the Python formula. Everything else in this folder depends on that.
#include <doctest/doctest.h>
#include <kindred/engine/random/philox.h>  // defines: philox4x32

#include "formula.h"

namespace kindred::golden {
namespace {

using nlohmann::json;
using Doubles = std::vector<double>;

TEST_CASE("golden formula: Philox gives the words that Python computed") {
  const json philox = load_fixture("formula").at("philox");
  REQUIRE(philox.at("words").size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const auto in = philox.at("counter_key").at(i).get<std::vector<std::uint32_t>>();
    const PhiloxWords out = philox4x32({{in[0], in[1], in[2], in[3]}}, in[4], in[5]);
    CHECK(std::vector<std::uint32_t>(out.word, out.word + 4) ==
          philox.at("words").at(i).get<std::vector<std::uint32_t>>());
  }
}

TEST_CASE("golden formula: Philox gives the known answers that its authors publish with Random123") {
  const PhiloxWords zero = philox4x32({{0, 0, 0, 0}}, 0, 0);
  CHECK(std::vector<std::uint32_t>(zero.word, zero.word + 4) ==
        std::vector<std::uint32_t>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u});
  const PhiloxWords pi =
      philox4x32({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u);
  CHECK(std::vector<std::uint32_t>(pi.word, pi.word + 4) ==
        std::vector<std::uint32_t>{0xd16cfe09u, 0x94fdcceBu, 0x5001e420u, 0x24126ea1u});
}

TEST_CASE("golden formula: the hash of a name") {
  const json hashes = load_fixture("formula").at("fnv1a64");
  REQUIRE(hashes.size() >= 4);
  for (const auto& [name, hexadecimal] : hashes.items()) {
    CAPTURE(name);
    CHECK(fnv1a64(name) == std::stoull(hexadecimal.get<std::string>(), nullptr, 16));
  }
}

TEST_CASE("golden formula: values are equal to the bit") {
  const json cases = load_fixture("formula").at("formula");
  REQUIRE(cases.size() >= 6);
  for (const json& item : cases) {
    const auto name = item.at("name").get<std::string>();
    const auto expected = item.at("values").get<Doubles>();
    CAPTURE(name);
    CHECK(formula(name, static_cast<std::int64_t>(expected.size()), item.at("low").get<float>(),
                  item.at("high").get<float>()) == expected);
  }
}

TEST_CASE("golden formula: a long tensor") {
  const json item = load_fixture("formula").at("long");
  const Doubles values = formula(item.at("name"), item.at("n"), item.at("low"), item.at("high"));
  double sum = 0;
  for (const double value : values) sum += value;
  CHECK(sum == doctest::Approx(item.at("sum").get<double>()).epsilon(1e-9));
  CHECK(norm(values) * norm(values) == doctest::Approx(item.at("sum_of_squares").get<double>()).epsilon(1e-12));
  CHECK(values.back() == item.at("last").get<double>());
}

TEST_CASE("golden formula: labels and ranges") {
  const json fixture = load_fixture("formula");
  const json& labels = fixture.at("labels");
  const auto expected = labels.at("values").get<std::vector<std::int32_t>>();
  CHECK(formula_labels(labels.at("name"), static_cast<std::int64_t>(expected.size()), labels.at("classes")) ==
        expected);
  for (const auto& [fan_in, bound] : fixture.at("bounds").at("conv").items()) {
    CHECK(conv_weight_range(std::stoll(fan_in)).high == bound.get<float>());
    CHECK(conv_weight_range(std::stoll(fan_in)).low == -bound.get<float>());
  }
  for (const auto& [fan_in, bound] : fixture.at("bounds").at("linear").items()) {
    CHECK(linear_weight_range(std::stoll(fan_in)).high == bound.get<float>());
    CHECK(linear_weight_range(std::stoll(fan_in)).low == -bound.get<float>());
  }
}

TEST_CASE("golden formula: norm and projections") {
  const json item = load_fixture("formula").at("summary");
  const auto values = item.at("values").get<Doubles>();
  CHECK(norm(values) == doctest::Approx(item.at("norm").get<double>()).epsilon(1e-14));
  REQUIRE(item.at("projections").size() == 3);
  for (int k = 0; k < 3; ++k) {
    const double expected = item.at("projections").at(static_cast<std::size_t>(k)).get<double>();
    CHECK(projection(k, item.at("name"), values) == doctest::Approx(expected).epsilon(1e-13));
  }
}

}  // namespace
}  // namespace kindred::golden
