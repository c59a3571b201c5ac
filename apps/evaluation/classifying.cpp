#include <kindred/apps/evaluation/classifying.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/layers/linear/linear.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace kindred {
namespace {

// Names of classes that are only numbers: nothing said what they are called.
bool are_numbers(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
  });
}

// How the names of the set and of the classifier can become the same.
const char* how_classes_match(const Classifier& classifier, const std::vector<std::string>& class_names) {
  if (are_numbers(class_names) == are_numbers(classifier.class_names))
    return "give a classifier that was trained on these classes";
  return "a classes.txt beside tar shards gives their classes names, one a line, and a pack takes the names of "
         "the set that it is made of";
}

}  // namespace

std::vector<double> class_log_probabilities(const Classifier& classifier, const Tensor& features) {
  const Tensor logits = linear(features.to(Device::cpu, DType::f32), classifier.weight, classifier.bias);
  std::vector<double> values = logits.to_vector<double>();
  const auto classes = static_cast<std::ptrdiff_t>(classifier.classes());
  for (auto row = values.begin(); row != values.end(); row += classes) {
    const double largest = *std::max_element(row, row + classes);
    double sum = 0;
    for (auto value = row; value != row + classes; ++value) sum += std::exp(*value - largest);
    for (auto value = row; value != row + classes; ++value) *value -= largest + std::log(sum);
  }
  return values;
}

std::vector<std::pair<std::string, double>> most_probable(const Classifier& classifier,
                                                          std::span<const double> log_probabilities,
                                                          std::int64_t top) {
  std::vector<std::size_t> order(log_probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return log_probabilities[a] > log_probabilities[b]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(top)));
  std::vector<std::pair<std::string, double>> best;
  for (const std::size_t i : order)
    best.emplace_back(classifier.class_names[i], std::exp(log_probabilities[i]));
  return best;
}

std::vector<std::int32_t> match_classes(const Classifier& classifier,
                                        const std::vector<std::string>& class_names) {
  std::map<std::string, std::int32_t> places;
  bool numbered = true;
  for (std::size_t i = 0; i < classifier.class_names.size(); ++i) {
    places.emplace(classifier.class_names[i], static_cast<std::int32_t>(i));
    numbered = numbered && classifier.class_names[i] == std::to_string(i);
  }
  const bool in_order = numbered && !classifier.has_names && class_names.size() == places.size();
  std::vector<std::int32_t> matched;
  for (std::size_t i = 0; i < class_names.size(); ++i) {
    const auto place = places.find(class_names[i]);
    if (place != places.end())
      matched.push_back(place->second);
    else
      matched.push_back(in_order ? static_cast<std::int32_t>(i) : unknown_class);
  }
  check(std::any_of(matched.begin(), matched.end(), [](std::int32_t c) { return c != unknown_class; }),
        ExitCode::data,
        "the classifier does not know the class {} of the data set, nor any other; it knows {}, {} among them; "
        "{}",
        class_names.front(), counted(places.size(), "class"), classifier.class_names.front(),
        how_classes_match(classifier, class_names));
  return matched;
}

Scores::Scores(std::int64_t classes)
    : classes_(classes),
      confusion_(static_cast<std::size_t>(classes * classes)),
      bin_images_(bins),
      bin_right_(bins),
      bin_confidence_(bins) {}

void Scores::add(const double* log_probabilities, std::int32_t label) {
  const double* const end = log_probabilities + classes_;
  const auto predicted = std::max_element(log_probabilities, end) - log_probabilities;
  const double right = log_probabilities[label], confidence = std::exp(log_probabilities[predicted]);
  const auto rank = std::count_if(log_probabilities, end, [&](double p) { return !(p < right); });
  ++images_;
  best_ += rank <= 1;
  among_five_ += rank <= 5;
  log_likelihood_ += right;
  ++confusion_[static_cast<std::size_t>(label * classes_ + predicted)];
  const bool is_number = confidence >= 0;  // the features of a diverged encoder give none
  const auto bin =
      static_cast<std::size_t>(is_number ? std::min(bins - 1, static_cast<int>(confidence * bins)) : 0);
  ++bin_images_[bin];
  bin_right_[bin] += predicted == label;
  bin_confidence_[bin] += confidence;
}

void Scores::add(const Classifier& classifier, const Tensor& features,
                 const std::vector<std::int32_t>& labels) {
  const std::vector<double> log_probabilities = class_log_probabilities(classifier, features);
  for (std::size_t row = 0; row < labels.size(); ++row)
    add(&log_probabilities[row * static_cast<std::size_t>(classes_)], labels[row]);
}

double Scores::top1() const {
  return static_cast<double>(best_) / static_cast<double>(images_);
}
double Scores::top5() const {
  return static_cast<double>(among_five_) / static_cast<double>(images_);
}
double Scores::negative_log_likelihood() const {
  return -log_likelihood_ / static_cast<double>(images_);
}

double Scores::calibration_error() const {
  double error = 0;
  for (std::size_t bin = 0; bin < bins; ++bin)
    error += std::abs(bin_confidence_[bin] - static_cast<double>(bin_right_[bin]));
  return error / static_cast<double>(images_);
}

std::int64_t Scores::confused(std::int64_t truth, std::int64_t predicted) const {
  return confusion_[static_cast<std::size_t>(truth * classes_ + predicted)];
}

std::int64_t Scores::images_of(std::int64_t truth) const {
  std::int64_t count = 0;
  for (std::int64_t predicted = 0; predicted < classes_; ++predicted) count += confused(truth, predicted);
  return count;
}

}  // namespace kindred
