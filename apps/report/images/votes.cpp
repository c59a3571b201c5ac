#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/evaluation/similarities.h>
#include <kindred/apps/report/images/votes.h>
#include <kindred/engine/error.h>
#include <kindred/engine/tensor.h>
#include <kindred/models/classifier_file.h>

#include <algorithm>
#include <map>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

constexpr std::int64_t rows_scored_at_once = 1024;

}  // namespace

std::vector<std::int32_t> voted_classes(const Neighbours& neighbours,
                                        const std::vector<std::int32_t>& bank_labels) {
  std::vector<std::int32_t> voted;
  for (std::int64_t query = 0; query < neighbours.queries(); ++query) {
    const auto rows = neighbours.rows_of(query);
    const auto similarity = neighbours.similarity_of(query);
    std::map<std::int32_t, double> votes;
    for (std::size_t n = 0; n < rows.size(); ++n)
      if (rows[n] >= 0) votes[bank_labels[static_cast<std::size_t>(rows[n])]] += vote_weight(similarity[n]);
    const auto most = std::max_element(votes.begin(), votes.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    voted.push_back(most == votes.end() ? -1 : most->first);
  }
  return voted;
}

std::vector<std::int32_t> classified(const Classifier& classifier, const ImageTable& table) {
  const std::vector<std::int32_t> of_set = match_classes(classifier, table.classes);
  std::vector<std::int32_t> to_set(static_cast<std::size_t>(classifier.classes()), unknown_class);
  for (std::size_t c = 0; c < of_set.size(); ++c)
    if (of_set[c] != unknown_class) to_set[static_cast<std::size_t>(of_set[c])] = static_cast<std::int32_t>(c);
  std::vector<std::int32_t> named;
  for (std::int64_t begin = 0; begin < table.rows(); begin += rows_scored_at_once) {
    const std::int64_t rows = std::min(rows_scored_at_once, table.rows() - begin);
    const auto first = static_cast<std::size_t>(begin * table.dim),
               count = static_cast<std::size_t>(rows * table.dim);
    const Tensor features = Tensor::from(std::span<const float>(table.features).subspan(first, count),
                                         {rows, table.dim}, Device::cpu);
    const std::vector<double> scores = class_log_probabilities(classifier, features);
    const auto classes = static_cast<std::ptrdiff_t>(classifier.classes());
    for (auto row = scores.begin(); row != scores.end(); row += classes)
      named.push_back(to_set[static_cast<std::size_t>(std::max_element(row, row + classes) - row)]);
  }
  return named;
}

std::optional<FoundClassifier> find_classifier(const std::filesystem::path& run, std::int64_t feature_dim,
                                               const std::string& encoder_checksum) {
  for (const auto& [file, what] : std::initializer_list<std::pair<std::filesystem::path, const char*>>{
           {run / best_classifier_name, "the classifier of the run's best epoch"},
           {run / classifier_name, "the run's classifier"},
           {run / "probe" / classifier_name, "the linear probe in the run's folder"}}) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) continue;
    try {
      if (load_classifier(file, feature_dim).encoder == encoder_checksum) return FoundClassifier{file, what};
    } catch (const Error&) {  // another program's, or of an encoder of another size
    }
  }
  return std::nullopt;
}

ConfusionCounts confusion_of(const std::vector<std::int32_t>& truths, const std::vector<std::int32_t>& named,
                             std::int64_t classes) {
  ConfusionCounts confusion(classes);
  for (std::size_t i = 0; i < std::min(truths.size(), named.size()); ++i) confusion.add(truths[i], named[i]);
  return confusion;
}

void unify_classes(ImageTable& first, ImageTable& second) {
  if (first.classes == second.classes || !first.has_classes() || !second.has_classes()) return;
  std::map<std::string, std::int32_t> known;
  for (std::size_t c = 0; c < first.classes.size(); ++c)
    known.emplace(first.classes[c], static_cast<std::int32_t>(c));
  std::vector<std::int32_t> now;
  for (const std::string& name : second.classes) {
    const auto [at, is_new] = known.emplace(name, static_cast<std::int32_t>(first.classes.size()));
    if (is_new) first.classes.push_back(name);
    now.push_back(at->second);
  }
  for (std::int32_t& label : second.labels) label = now.at(static_cast<std::size_t>(label));
  second.classes = first.classes;
}

}  // namespace kindred
