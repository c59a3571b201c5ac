// Scores of a classifier, against numbers that can be computed by hand.
#include "../../errors.h"
#include "../../golden/formula.h"

#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/known_images.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace kindred {
namespace {

std::vector<double> logarithms(std::vector<double> probabilities) {
  for (double& p : probabilities) p = std::log(p);
  return probabilities;
}

TEST_CASE("scores: accuracy, confusion and calibration") {
  Scores scores(7);
  const auto add = [&](std::vector<double> probabilities, std::int32_t label) {
    scores.add(logarithms(std::move(probabilities)).data(), label);
  };
  add({0.90, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01}, 0);        // right
  add({0.30, 0.40, 0.10, 0.10, 0.05, 0.03, 0.02}, 0);        // second
  add({0.30, 0.20, 0.16, 0.14, 0.12, 0.05, 0.03}, 5);        // sixth
  add({0.125, 0.125, 0.125, 0.125, 0.125, 0.125, 0.25}, 2);  // ties count against it: seventh
  CHECK(scores.images() == 4);
  CHECK(scores.top1() == doctest::Approx(0.25));
  CHECK(scores.top5() == doctest::Approx(0.5));
  CHECK(scores.confused(0, 0) == 1);
  CHECK(scores.confused(0, 1) == 1);
  CHECK(scores.confused(5, 0) == 1);
  CHECK(scores.confused(2, 6) == 1);
  CHECK(scores.images_of(0) == 2);
  CHECK(scores.images_of(1) == 0);
  CHECK(scores.negative_log_likelihood() ==
        doctest::Approx(-(std::log(0.9) + std::log(0.3) + std::log(0.05) + std::log(0.125)) / 4));
  // Each row is in its own bin: |0.9 - 1|, 0.4, 0.3, 0.25.
  CHECK(scores.calibration_error() == doctest::Approx((0.1 + 0.4 + 0.3 + 0.25) / 4));
}

TEST_CASE("scores: within a bin, confidence and accuracy are averaged first") {
  Scores scores(2);
  const std::vector<double> sure = logarithms({0.75, 0.25});
  for (int i = 0; i < 4; ++i) scores.add(sure.data(), i == 0);  // three of four are right
  CHECK(scores.calibration_error() == doctest::Approx(0));
  const double certain[] = {0, -1000};
  scores.add(certain, 1);
  CHECK(scores.calibration_error() == doctest::Approx(0.2));
  CHECK(scores.negative_log_likelihood() == doctest::Approx((-3 * std::log(0.75) - std::log(0.25) + 1000) / 5));
}

TEST_CASE("scores: classes far behind the first keep their order") {
  const Classifier classifier{
      Tensor::from(std::vector<float>{9000, 8000, 7000, 6000, 5000, 4000, 3000}, {7, 1}, Device::cpu),
      Tensor::zeros({7}, DType::f32, Device::cpu),
      {"a", "b", "c", "d", "e", "f", "g"}};
  const std::vector<float> one{1};
  Scores scores(7);
  for (const std::int32_t label : {1, 4, 5})
    scores.add(classifier, Tensor::from(one, {1, 1}, Device::cpu), {label});
  CHECK(scores.top1() == 0);
  CHECK(scores.top5() == doctest::Approx(2.0 / 3));
  CHECK(scores.negative_log_likelihood() == doctest::Approx((1000 + 4000 + 5000) / 3.0));
}

// NumPy computed the numbers, from the same draws (tests/golden/golden_formula.py):
//
//   p = formula("scores/probabilities", 200 * 7, 0, 1).reshape(200, 7) ** 3
//   y = np.array(formula_labels("scores/labels", 200, 7))
//   p[np.arange(200), y] += formula("scores/hint", 200, 0, 1)
//   p /= p.sum(1, keepdims=True)
//   best, right = p.argmax(1), p.argmax(1) == y
//   top5 = ((p > p[np.arange(200), y][:, None]).sum(1) < 5).mean()
//   likelihood = -np.log(p[np.arange(200), y]).mean()
//   bins = (p.max(1) * 15).astype(int)
//   calibration = sum(abs(right[bins == b].mean() - p.max(1)[bins == b].mean()) * (bins == b).mean() for b in set(bins))
//   confusion = np.histogram2d(y, best, bins=range(8))[0]
TEST_CASE("scores: those of two hundred rows of seven classes are NumPy's") {
  constexpr std::size_t rows = 200, classes = 7;
  std::vector<double> p = golden::formula("scores/probabilities", rows * classes, 0, 1);
  const std::vector<std::int32_t> labels = golden::formula_labels("scores/labels", rows, classes);
  const std::vector<double> hint = golden::formula("scores/hint", rows, 0, 1);
  Scores scores(classes);
  for (std::size_t i = 0; i < rows; ++i) {
    double* row = &p[i * classes];
    for (std::size_t c = 0; c < classes; ++c) row[c] = row[c] * row[c] * row[c];
    row[static_cast<std::size_t>(labels[i])] += hint[i];
    const double sum = std::accumulate(row, row + classes, 0.0);
    for (std::size_t c = 0; c < classes; ++c) row[c] /= sum;
    scores.add(logarithms(std::vector<double>(row, row + classes)).data(), labels[i]);
  }
  CHECK(scores.top1() == doctest::Approx(0.55));
  CHECK(scores.top5() == doctest::Approx(0.96));
  CHECK(scores.negative_log_likelihood() == doctest::Approx(1.2559857157898517).epsilon(1e-12));
  CHECK(scores.calibration_error() == doctest::Approx(0.14004456431831044).epsilon(1e-12));
  const std::int64_t confusion[classes][classes] = {
      {13, 1, 0, 1, 6, 0, 1}, {2, 12, 5, 1, 5, 1, 5}, {3, 3, 21, 1, 1, 2, 4}, {1, 1, 3, 15, 1, 2, 4},
      {1, 1, 3, 2, 12, 2, 0}, {6, 4, 2, 0, 4, 21, 1}, {2, 2, 4, 2, 0, 0, 16}};
  const std::int64_t images[classes] = {22, 31, 35, 27, 21, 38, 26};
  for (std::int64_t truth = 0; truth < 7; ++truth) {
    CHECK(scores.images_of(truth) == images[truth]);
    for (std::int64_t predicted = 0; predicted < 7; ++predicted)
      CHECK(scores.confused(truth, predicted) == confusion[truth][predicted]);
  }
}

TEST_CASE("classes of a set are found in a classifier by name, or by number") {
  const auto classifier = [](std::vector<std::string> names) {
    const auto count = static_cast<std::int64_t>(names.size());
    return Classifier{Tensor::zeros({count, 1}, DType::f32, Device::cpu),
                      Tensor::zeros({count}, DType::f32, Device::cpu), names};
  };
  using Places = std::vector<std::int32_t>;
  CHECK(match_classes(classifier({"cat", "dog", "eel"}), {"dog", "cat"}) == Places{1, 0});
  CHECK(match_classes(classifier({"0", "1"}), {"cat", "dog"}) == Places{0, 1});
  CHECK(match_classes(classifier({"0", "1", "10", "2"}), {"10", "2"}) == Places{2, 3});
  CHECK(match_classes(classifier({"cat", "dog"}), {"dog", "eel"}) == Places{1, unknown_class});
  Classifier digits = classifier({"0", "1"});  // classes that are called so, which is not the same as no names
  digits.has_names = true;
  CHECK_THROWS_AS(match_classes(digits, {"cat", "dog"}), Error);
  CHECK_THROWS_AS(match_classes(classifier({"cat", "dog"}), {"eel"}), Error);
  CHECK_THROWS_AS(match_classes(classifier({"0", "1", "2"}), {"cat", "dog"}), Error);
}

TEST_CASE("classes: if none is known, an error says how the names of set and classifier can become the same") {
  const auto refusal = [](const std::vector<std::string>& known, const std::vector<std::string>& of_set) {
    const auto count = static_cast<std::int64_t>(known.size());
    Classifier classifier{Tensor::zeros({count, 1}, DType::f32, Device::cpu),
                          Tensor::zeros({count}, DType::f32, Device::cpu), known};
    classifier.has_names = true;
    return test::error_of([&] { match_classes(classifier, of_set); });
  };
  const std::string shards =
      "; a classes.txt beside tar shards gives their classes names, one a line, and a pack takes the names of "
      "the set that it is made of";
  CHECK(
      refusal({"cat", "dog"}, {"0", "1"}) ==
      "the classifier does not know the class 0 of the data set, nor any other; it knows 2 classes, cat among "
      "them" +
          shards);
  CHECK(refusal({"0", "1"}, {"cat", "dog"}).ends_with("0 among them" + shards));
  CHECK(
      refusal({"cat", "dog"}, {"eel", "7"}).ends_with("; give a classifier that was trained on these classes"));
  CHECK(refusal({"0", "1"}, {"2"}).ends_with("; give a classifier that was trained on these classes"));
}

TEST_CASE("known images: of many classes that a classifier does not know, four are named") {
  struct NoPictures : SampleSource {
    std::string name(std::int64_t) const override { return "none"; }
  };
  Dataset set({"cat", "n0", "n1", "n2", "n3", "n4", "n5"}, {1, 2, 3, 4, 5, 6}, std::make_shared<NoPictures>(),
              false);
  set.set_origin({"DIR", "all"});
  const Classifier classifier{Tensor::zeros({2, 1}, DType::f32, Device::cpu),
                              Tensor::zeros({2}, DType::f32, Device::cpu),
                              {"cat", "dog"}};
  CHECK(test::error_of([&] { known_images(set, classifier); }) ==
        "DIR: no image is of a class that the classifier knows; it has n0, n1, n2, n3 and 2 more");
}

TEST_CASE("probabilities are the softmax of the logits, however large") {
  Classifier classifier{Tensor::from(std::vector<float>{1000, 0, 0, 1000}, {2, 2}, Device::cpu),
                        Tensor::from(std::vector<float>{0, 1}, {2}, Device::cpu),
                        {"a", "b"}};
  auto probabilities =
      class_log_probabilities(classifier, Tensor::from(std::vector<float>{1, 1, 2, 0}, {2, 2}, Device::cpu));
  CHECK(probabilities[3] == doctest::Approx(-1999));
  for (double& p : probabilities) p = std::exp(p);
  CHECK(probabilities[0] == doctest::Approx(1 / (1 + std::exp(1))));
  CHECK(probabilities[1] == doctest::Approx(1 / (1 + std::exp(-1))));
  CHECK(probabilities[2] == doctest::Approx(1));
  CHECK(probabilities[3] == doctest::Approx(0));
}

TEST_CASE("scores: an image whose probabilities are not numbers counts as wrong") {
  Scores scores(3);
  const double unknown[] = {std::nan(""), std::nan(""), std::nan("")};
  for (const std::int32_t label : {0, 1, 2}) scores.add(unknown, label);
  CHECK(scores.images() == 3);
  CHECK(scores.top1() == 0);
}

}  // namespace
}  // namespace kindred
