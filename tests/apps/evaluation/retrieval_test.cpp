// recall@k, R-precision and MAP@R: on rows whose answer is known by hand, against plain loops, and what `evaluate` reports
// against plain loops over the features that `embed` writes.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/evaluation/figures/retrieval.h>
#include <kindred/data/npz/npz.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/random/philox.h>

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

namespace kindred {
namespace {

// Rows in the plane, given by their angles in degrees.
FeatureTable at_angles(const std::vector<std::pair<double, std::int32_t>>& angles) {
  FeatureTable table;
  table.dim = 2;
  float length = 1;
  for (const auto& [angle, label] : angles) {
    const double radians = angle * std::acos(-1.0) / 180;
    table.features.push_back(length * static_cast<float>(std::cos(radians)));
    table.features.push_back(length * static_cast<float>(std::sin(radians)));
    table.labels.push_back(label);
    length *= 2;  // it does not matter
  }
  return table;
}

TEST_CASE("retrieval: figures by hand") {
  // Of the image at 0 degrees the others are ranked right, wrong, right, wrong, right; it has three classmates.
  //   R-precision 2/3; MAP@R (1/1 + 2/3) / 3 = 5/9
  // Of the one at 10: 0 (10 degrees, right), 21 (11, wrong), 33 (23, right), 46 (36), 60 (50): the same.
  // Of 33: 21 (12, wrong), 46 (13, wrong), 10 (23, right), 60 (27), 0 (33): R-precision 1/3, MAP@R 1/9.
  // Of 60: 46 (14, wrong), 33 (27, right), 21 (39, wrong): R-precision 1/3, MAP@R (1/2) / 3 = 1/6.
  // Of 21, whose one classmate is 46: 10 (11) and 33 (12) are nearer: 0. Of 46: 33 (13), 60 (14): 0.
  const Retrieval found = measure_retrieval(at_angles({{0, 0}, {10, 0}, {21, 1}, {33, 0}, {46, 1}, {60, 0}}));
  CHECK(found.queries == 6);
  CHECK(found.alone == 0);
  CHECK(found.recall[0] == doctest::Approx(2.0 / 6));
  CHECK(found.recall[1] == 1);  // all others are within five
  CHECK(found.recall[2] == 1);  // and there are no ten
  CHECK(found.r_precision == doctest::Approx((2.0 / 3 + 2.0 / 3 + 1.0 / 3 + 1.0 / 3) / 6));
  CHECK(found.map_at_r == doctest::Approx((5.0 / 9 + 5.0 / 9 + 1.0 / 9 + 1.0 / 6) / 6));
}

TEST_CASE("retrieval: an image alone in its class does not ask, and is found by others") {
  const Retrieval found = measure_retrieval(at_angles({{0, 0}, {10, 2}, {30, 0}}));
  CHECK(found.queries == 2);
  CHECK(found.alone == 1);
  CHECK(found.recall[0] == 0);  // both find the lone one first
  CHECK(found.recall[1] == 1);
  CHECK(found.map_at_r == 0);
  CHECK(retrieval_line(found).find("1 image alone") != std::string::npos);
}

TEST_CASE("retrieval: of equal images the earlier one is ranked first") {
  FeatureTable table;
  table.dim = 1;
  table.features.assign(5, 1);
  table.labels = {0, 1, 1, 0, 0};
  // 0 ranks 1 2 3 4: of 3 and 4 none is among two. 1 ranks 0: wrong. 2 ranks 0: wrong. 3 ranks 0 1: one of two, at the first
  // place. 4 ranks 0 1: the same.
  const Retrieval found = measure_retrieval(table);
  CHECK(found.recall[0] == doctest::Approx(2.0 / 5));
  CHECK(found.r_precision == doctest::Approx(1.0 / 5));
  CHECK(found.map_at_r == doctest::Approx(1.0 / 5));
  CHECK(found.recall[1] == 1);
}

// By plain loops in double precision.
Retrieval plain_retrieval(const FeatureTable& table) {
  Retrieval sums;
  const auto value = [&](std::int64_t r, std::int64_t d) {
    return double(table.features[static_cast<std::size_t>(r * table.dim + d)]);
  };
  for (std::int64_t q = 0; q < table.rows(); ++q) {
    const std::int32_t label = table.labels[static_cast<std::size_t>(q)];
    const auto classmates = std::count(table.labels.begin(), table.labels.end(), label) - 1;
    if (classmates == 0) {
      ++sums.alone;
      continue;
    }
    std::vector<std::pair<double, std::int64_t>> order;
    for (std::int64_t r = 0; r < table.rows(); ++r) {
      double product = 0, a = 0, b = 0;
      for (std::int64_t d = 0; d < table.dim; ++d) {
        product += value(q, d) * value(r, d);
        a += value(q, d) * value(q, d);
        b += value(r, d) * value(r, d);
      }
      if (r != q) order.emplace_back(-product / std::sqrt(a * b), r);
    }
    std::sort(order.begin(), order.end());
    double right = 0, precision = 0;
    std::int64_t first_right = table.rows();
    for (std::int64_t i = 0; i < std::ssize(order); ++i) {
      if (table.labels[static_cast<std::size_t>(order[static_cast<std::size_t>(i)].second)] != label) continue;
      first_right = std::min(first_right, i + 1);
      if (i < classmates) precision += ++right / static_cast<double>(i + 1);
    }
    ++sums.queries;
    for (std::size_t k = 0; k < 3; ++k) sums.recall[k] += first_right <= recall_ranks[k];
    sums.r_precision += right / static_cast<double>(classmates);
    sums.map_at_r += precision / static_cast<double>(classmates);
  }
  for (double* figure : {&sums.recall[0], &sums.recall[1], &sums.recall[2], &sums.r_precision, &sums.map_at_r})
    *figure /= static_cast<double>(sums.queries);
  return sums;
}

// Two images whose cosines differ in the last bits only may change places: `places` of them are allowed for.
void check_same_figures(const Retrieval& found, const Retrieval& plain, double places = 0) {
  const double allowed = 1e-9 + places / static_cast<double>(plain.queries);
  CHECK(found.queries == plain.queries);
  CHECK(found.alone == plain.alone);
  for (std::size_t k = 0; k < 3; ++k) CHECK(std::abs(found.recall[k] - plain.recall[k]) <= allowed);
  CHECK(std::abs(found.r_precision - plain.r_precision) <= allowed);
  CHECK(std::abs(found.map_at_r - plain.map_at_r) <= allowed);
}

TEST_CASE("retrieval: more images than fit one tile, classes of many sizes, against plain loops") {
  FeatureTable table;  // a tile is 256 images
  table.dim = 6;
  RandomStream random(41, Purpose::test);
  for (int i = 0; i < 700; ++i) {
    const auto label = static_cast<std::int32_t>(std::min(random.below(30), random.below(30)));
    for (std::int64_t d = 0; d < table.dim; ++d)
      table.features.push_back(random.normal() + (d == label % 6 ? 1.0f : 0.0f));
    table.labels.push_back(label);
  }
  table.labels[17] = 1000;  // alone, far from the other numbers
  const Retrieval plain = plain_retrieval(table);
  REQUIRE(plain.alone >= 1);
  REQUIRE(plain.recall[0] > 0.05);
  REQUIRE(plain.recall[2] < 1);
  REQUIRE(plain.recall[0] < plain.recall[1]);
  REQUIRE(plain.map_at_r < plain.r_precision);
  std::vector<std::int64_t> done;
  const Retrieval found = measure_retrieval(table, [&](std::int64_t images) { done.push_back(images); });
  check_same_figures(found, plain, 2);
  CHECK(done == std::vector<std::int64_t>{256, 512, 700});
  const int threads = compute_threads();
  set_compute_threads(1);
  const Retrieval alone = measure_retrieval(table);
  set_compute_threads(threads);
  CHECK(alone.r_precision == found.r_precision);
  CHECK(alone.map_at_r == found.map_at_r);
}

TEST_CASE("retrieval: no class with two images, and a stop between tiles") {
  const FeatureTable apart = at_angles({{0, 0}, {10, 1}, {20, 2}});
  CHECK(test::code_of([&] { measure_retrieval(apart); }) == ExitCode::data);
  CHECK(test::error_of([&] { measure_retrieval(apart); }).find("at least two images of a class") !=
        std::string::npos);
  CHECK_THROWS_AS(
      measure_retrieval(at_angles({{0, 0}, {9, 0}}), [](std::int64_t) { throw std::runtime_error("stop"); }),
      std::runtime_error);
}

// What a program reports, from its JSON.
Retrieval reported(const nlohmann::json& json) {
  Retrieval found;
  for (std::size_t k = 0; k < 3; ++k)
    found.recall[k] = json.at("recall").at(std::to_string(recall_ranks[k])).get<double>();
  found.r_precision = json.at("r_precision").get<double>();
  found.map_at_r = json.at("map_at_r").get<double>();
  found.queries = json.at("queries").get<std::int64_t>();
  found.alone = json.at("alone").get<std::int64_t>();
  return found;
}

TEST_CASE("evaluate --retrieval: with and without a classifier, as plain loops over the features of embed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 5, 12), run = folder / "run";
  const auto done = [](const ProgramResult& result) {
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    return result.output;
  };
  done(run_program("pretrain", set + " --out " + run + " --device cpu --loss cross_entropy" + tiny));
  const std::string encoder = set + " --device cpu --encoder " + run + "/encoder.safetensors ";
  const std::string features = folder / "features.npz", out = folder / "figures.json";
  for (const std::string split : {"train", "val"}) {
    CAPTURE(split);
    done(run_program("embed", encoder + "--split " + split + " --out " + features));
    const NpzFile file(features);
    FeatureTable table;
    table.dim = file.at("features").shape[1];
    table.features = file.read<float>(file.at("features"));
    for (const std::int64_t label : file.read<std::int64_t>(file.at("labels")))
      table.labels.push_back(static_cast<std::int32_t>(label));
    REQUIRE(table.rows() == (split == "train" ? 60 : 15));
    const Retrieval plain = plain_retrieval(table);
    REQUIRE(plain.r_precision > 0);
    REQUIRE(plain.r_precision < 1);

    const std::string alone =
        done(run_program("evaluate", encoder + "--retrieval --split " + split + " --json " + out));
    CHECK(alone.find("retrieval: recall@1 ") != std::string::npos);
    CHECK(alone.find("top-1") == std::string::npos);
    const nlohmann::json json = json_file(out);
    check_same_figures(reported(json.at("retrieval")), plain, 2);
    CHECK(json.at("evaluated_on").at("images") == table.rows());
    CHECK(!json.contains("top1"));

    const std::string classifier = "--classifier " + run + "/classifier.safetensors ";
    const std::string both =
        done(run_program("evaluate", encoder + classifier + "--retrieval --split " + split + " --json " + out));
    CHECK(both.find("retrieval: recall@1 ") != std::string::npos);
    CHECK(both.find("top-1") != std::string::npos);
    CHECK(json_file(out).at("retrieval") == json.at("retrieval"));
    CHECK(json_file(out).contains("top1"));
    done(run_program("evaluate", encoder + classifier + "--split " + split + " --json " + out));
    CHECK(!json_file(out).contains("retrieval"));
  }

  const auto refused = [&](const std::string& arguments, int code, const std::string& text) {
    const ProgramResult result = run_program("evaluate", arguments);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, text));
  };
  refused(encoder, 2, "--retrieval");  // neither
  refused(encoder + "--retrieval --corruptions fog", 2, "--classifier");
  refused(encoder + "--retrieval --limit-eval-per-class 1", 3, "no class has two");
}

}  // namespace
}  // namespace kindred
