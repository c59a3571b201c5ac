// Measures an encoder and its classifier on a labelled set, and how much of the accuracy survives ImageNet-C's
// corruptions.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/data_options.h>
#include <kindred/apps/console/images/evaluated_on.h>
#include <kindred/apps/console/images/given_images.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/messages/bad_images_line.h>
#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/evaluation/known_images.h>
#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/apps/training/run/run_folder.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/data/corruption/corruption.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/cpu/parallel.h>

#include <fmt/ranges.h>  // defines: fmt::join
#include <nlohmann/json.hpp>

#include <algorithm>

namespace kindred {
namespace {

constexpr std::size_t most_lines = 10;  // per list on the terminal; the JSON has everything

struct Flags {
  DataFlags data;
  EncoderFlags encoder;
  std::string classifier, json;
  std::vector<std::string> corruptions;
  std::vector<int> severities = {1, 2, 3, 4, 5};
  std::uint64_t seed = 0;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  f.encoder.add_to(line);
  line.add("--classifier", f.classifier,
           "classifier.safetensors of a probe or of a run with cross_entropy, its folder, or a file with fc.*")
      .required();
  f.data.add_split_to(line,
                      "the images of a set to use (val if there are some, else test; all of class folders "
                      "without such parts)");
  const Flag corruptions =
      line.add("--corruptions", f.corruptions, "ImageNet-C's: all, or names separated by commas")
          .separated_by(',');
  line.add("--severities", f.severities, "of the corruptions, 1 to 5, separated by commas (all)")
      .separated_by(',')
      .needs(corruptions);
  line.add_seed(f.seed, "of the corruptions' noise");
  line.add("--json", f.json, "writes everything to this file: classes, confusion matrix, errors").writes_file();
  line.add_quiet();
}

std::vector<Corruption> chosen_corruptions(const Flags& f) {
  if (f.corruptions == std::vector<std::string>{"all"}) return all_corruptions();
  std::vector<Corruption> chosen;
  for (const std::string& each : f.corruptions) {
    const Corruption corruption = parse_corruption(each);
    check(std::find(chosen.begin(), chosen.end(), corruption) == chosen.end(), ExitCode::usage,
          "--corruptions {}: expected all, or names, each once", each);
    chosen.push_back(corruption);
  }
  return chosen;
}

void check_flags(const Flags& f) {
  f.data.check_values();
  f.data.check_outside("--json", f.json);
  check_output_file("--json", f.json, "evaluation.json");
  f.encoder.check_values();
  for (std::size_t i = 0; i < f.severities.size(); ++i)
    check(f.severities[i] >= 1 && f.severities[i] <= worst_severity &&
              std::find(f.severities.begin(), f.severities.begin() + static_cast<std::ptrdiff_t>(i),
                        f.severities[i]) == f.severities.begin() + static_cast<std::ptrdiff_t>(i),
          ExitCode::usage, "--severities {}: expected numbers from 1 to {}, each once", f.severities[i],
          worst_severity);
  chosen_corruptions(f);
}

// One pass over the set.
class Evaluation {
 public:
  Evaluation(const Flags& flags, const Dataset& dataset, const FrozenEncoder& frozen,
             const Classifier& classifier)
      : flags_(flags),
        dataset_(dataset),
        frozen_(frozen),
        classifier_(classifier),
        labels_(match_classes(classifier, dataset.class_names())) {}

  Scores run(const std::string& what, const std::function<void(Batch&)>& change,
             std::vector<BadImage>* bad) const {
    Scores scores(classifier_.classes());
    FeatureOptions options = frozen_.features;
    options.what = what;
    for_each_feature_batch(
        *frozen_.encoder, dataset_, options,
        [&](const Batch& batch, const Tensor& features) {
          std::vector<std::int32_t> labels;
          for (const std::int32_t of_set : batch.labels) labels.push_back(label(of_set));
          scores.add(classifier_, finite_on_host(features), labels);
        },
        bad, change);
    check(scores.images() > 0, ExitCode::data, "{}: not one image could be read", flags_.data.path);
    return scores;
  }

  // The fraction of wrong answers. The noise depends only on the seed, the image, the corruption and its
  // severity.
  double error_under(Corruption corruption, int severity) const {
    const int side = frozen_.features.image_size;
    const std::size_t bytes = std::size_t(side) * std::size_t(side) * 3;
    const auto change = [&](Batch& batch) {
      parallel_for(batch.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const auto i = static_cast<std::size_t>(row);
          constexpr std::uint32_t first_view = 1000;  // higher than those of any augmentation
          RandomStream random(flags_.seed, Purpose::augment, static_cast<std::uint32_t>(severity),
                              static_cast<std::uint32_t>(batch.indices[i]),
                              first_view + static_cast<std::uint32_t>(corruption));
          corrupt(std::span(batch.images).subspan(i * bytes, bytes), side, corruption, severity, random);
        }
      });
    };
    return 1 - run(fmt::format("{} {}", name(corruption), severity), change, nullptr).top1();
  }

  std::int32_t label(std::int32_t of_set) const { return labels_[static_cast<std::size_t>(of_set)]; }

 private:
  const Flags& flags_;
  const Dataset& dataset_;
  const FrozenEncoder& frozen_;
  const Classifier& classifier_;
  const std::vector<std::int32_t> labels_;
};

double accuracy_of(const Scores& scores, std::int64_t c) {
  return static_cast<double>(scores.confused(c, c)) / static_cast<double>(scores.images_of(c));
}

void print_worst_classes(const Scores& scores, const std::vector<std::string>& names) {
  std::vector<std::int64_t> order;
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(names.size()); ++c)
    if (scores.images_of(c) > 0) order.push_back(c);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return accuracy_of(scores, a) < accuracy_of(scores, b); });
  fmt::print("{}:\n", order.size() > most_lines ? "the classes that are hardest" : "classes");
  order.resize(std::min(order.size(), most_lines));
  for (const std::int64_t c : order) {
    std::int64_t mistaken = -1;  // the class it is most often mistaken for
    for (std::int64_t other = 0; other < static_cast<std::int64_t>(names.size()); ++other)
      if (other != c && scores.confused(c, other) > (mistaken < 0 ? 0 : scores.confused(c, mistaken)))
        mistaken = other;
    const std::string taken_for =
        mistaken < 0 ? ""
                     : fmt::format(", taken for {} {}", names[static_cast<std::size_t>(mistaken)],
                                   counted(scores.confused(c, mistaken), "time"));
    fmt::print("  {:.4f}  {}\n", accuracy_of(scores, c),
               one_line(fmt::format("{} ({}){}", names[static_cast<std::size_t>(c)],
                                    counted(scores.images_of(c), "image"), taken_for)));
  }
}

nlohmann::json to_json(const Scores& scores, const std::vector<std::string>& names) {
  nlohmann::json classes = nlohmann::json::array(), confusion = nlohmann::json::array();
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(names.size()); ++c) {
    const std::int64_t images = scores.images_of(c);
    classes.push_back({{"name", names[static_cast<std::size_t>(c)]},
                       {"images", images},
                       {"top1", images > 0 ? nlohmann::json(accuracy_of(scores, c)) : nlohmann::json()}});
    nlohmann::json row = nlohmann::json::array();
    for (std::int64_t other = 0; other < static_cast<std::int64_t>(names.size()); ++other)
      row.push_back(scores.confused(c, other));
    confusion.push_back(row);
  }
  return {{"images", scores.images()},
          {"top1", scores.top1()},
          {"top5", scores.top5()},
          {"negative_log_likelihood", scores.negative_log_likelihood()},
          {"expected_calibration_error", scores.calibration_error()},
          {"classes", classes},
          {"confusion", confusion}};  // [true class][predicted class]
}

// The errors and, if all severities were evaluated, each corruption's error relative to AlexNet's, and their
// mean.
nlohmann::json evaluate_corruptions(const Flags& f, const Evaluation& evaluation, double clean_error) {
  const std::vector<Corruption> corruptions = chosen_corruptions(f);
  const bool all_severities = f.severities.size() == worst_severity;
  nlohmann::json result;
  double sum_of_ratios = 0;
  for (const Corruption corruption : corruptions) {
    nlohmann::json errors;
    double sum = 0;
    std::string line = fmt::format("  {:<18}", name(corruption));
    for (const int severity : f.severities) {
      const double error = evaluation.error_under(corruption, severity);
      errors[std::to_string(severity)] = error;
      sum += error;
      line += fmt::format(" {:.4f}", error);
    }
    result["errors"][name(corruption)] = errors;
    if (all_severities) {
      const double ratio = sum / worst_severity / alexnet_error(corruption);
      result["corruption_errors"][name(corruption)] = ratio;
      sum_of_ratios += ratio;
      line += fmt::format("   {:.4f} of AlexNet's", ratio);
    }
    fmt::print("{}\n", line);
  }
  result["clean_error"] = clean_error;
  result["left_out"] = {corruptions_left_out};
  if (all_severities && corruptions.size() == all_corruptions().size()) {
    result["mean_corruption_error"] = sum_of_ratios / static_cast<double>(corruptions.size());
    fmt::print("mean corruption error over {} of ImageNet-C's 15 corruptions (without {}): {:.4f}\n",
               corruptions.size(), corruptions_left_out, result["mean_corruption_error"].get<double>());
  }
  return result;
}

int evaluate(int argc, char** argv) {
  CommandLine line("Measures an encoder with its classifier: accuracy, calibration, confusion, corruptions.",
                   "evaluate");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  check_flags(flags);
  flags.classifier = classifier_file(flags.classifier, flags.encoder.best);
  watch_for_interrupts();
  flags.data.exif = flags.encoder.encoder_info().exif;
  const Dataset asked = open_labelled(flags.data);
  const auto frozen = flags.encoder.load();
  frozen->features.stop = [] {
    end_if_interrupted("the evaluation was stopped, and nothing was written; the same command begins anew");
    return false;
  };
  const Classifier classifier = load_classifier(flags.classifier, frozen->encoder->feature_dim);
  std::vector<std::string> warnings =
      seen_images_warnings(frozen->is_assumed ? nullptr : &frozen->info, classifier, asked);
  warnings.insert(warnings.begin(), other_encoder_warning(classifier, flags.classifier, frozen->store));
  for (const std::string& warning : warnings)
    if (!warning.empty()) fmt::print("{}\n", one_line(warning));
  if (!classifier.has_names)
    fmt::print(
        "note: {} has no class names; they are the numbers from 0, or else those of the set in their order\n",
        flags.classifier);
  const KnownImages known = known_images(asked, classifier);
  const Dataset& dataset = known.set;
  const Evaluation evaluation(flags, dataset, *frozen, classifier);
  const int side = frozen->features.image_size;
  check(flags.corruptions.empty() || side >= smallest_corrupted_side, ExitCode::usage,
        "--corruptions: images of {} pixels are too small; at least {} are needed", side,
        smallest_corrupted_side);

  std::vector<BadImage> bad;
  const Scores clean = evaluation.run("evaluating", {}, &bad);
  results_follow();
  nlohmann::json result = to_json(clean, classifier.class_names);
  result["evaluated_on"] = evaluated_on(dataset, clean.images());
  result["left_out"] = {{"classes", known.unknown}, {"images", known.left_out}};
  print_evaluated_on(dataset, clean.images());
  fmt::print("top-1 {:.4f}, top-5 {:.4f} on {} of {}\n", clean.top1(), clean.top5(),
             counted(clean.images(), "image"),
             counted(dataset.classes() - static_cast<int>(known.unknown.size()), "class"));
  fmt::print("expected calibration error {:.4f}, negative log-likelihood {:.4f}\n", clean.calibration_error(),
             clean.negative_log_likelihood());
  if (!only_results_are_printed()) print_worst_classes(clean, classifier.class_names);
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  result["unreadable"] = bad.size();
  if (!bad.empty()) fmt::print("{}\n", left_out_line(bad.size(), bad[0]));
  if (!flags.corruptions.empty()) {
    fmt::print("errors under ImageNet-C's corruptions, severity {}:\n", fmt::join(flags.severities, " "));
    if (side != 224 && !only_results_are_printed())
      fmt::print("note: the corruptions are meant for images of 224 pixels; these have {}\n", side);
    result["corruptions"] = evaluate_corruptions(flags, evaluation, 1 - clean.top1());
  }
  if (!flags.json.empty()) write_json(flags.json, result);
  return 0;
}

const Program evaluate_program(
    "evaluate", "measures an encoder with its classifier: accuracy, calibration, confusion, corruptions",
    evaluate);

}  // namespace
}  // namespace kindred
