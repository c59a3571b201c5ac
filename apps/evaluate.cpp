// Measures an encoder and its classifier on a labelled set, how much of the accuracy survives ImageNet-C's corruptions, and
// how well images of the same class are found by the encoder's features.
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
#include <kindred/apps/evaluation/figures/class_figures.h>
#include <kindred/apps/evaluation/figures/retrieval.h>
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
#include <utility>

namespace kindred {
namespace {

struct Flags {
  DataFlags data;
  EncoderFlags encoder;
  std::string classifier, json;
  std::vector<std::string> corruptions;
  std::vector<int> severities = {1, 2, 3, 4, 5};
  std::uint64_t seed = 0;
  bool retrieval = false;
};

void add_flags(CommandLine& line, Flags& f) {
  f.data.add_to(line);
  f.encoder.add_to(line);
  const Flag classifier = line.add(
      "--classifier", f.classifier,
      "classifier.safetensors of a probe or of a run with cross_entropy, its folder, or a file with fc.*; "
      "only --retrieval works without one");
  line.add_switch("--retrieval", f.retrieval,
                  "how well an image finds those of its class: recall@1, 5 and 10, R-precision, MAP@R of the "
                  "features");
  f.data.add_split_to(line,
                      "the images of a set to use (val if there are some, else test; all of class folders "
                      "without such parts)");
  const Flag corruptions =
      line.add("--corruptions", f.corruptions, "ImageNet-C's: all, or names separated by commas")
          .separated_by(',')
          .needs(classifier);
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
  check(f.retrieval || !f.classifier.empty(), ExitCode::usage,
        "--classifier is missing: expected classifier.safetensors of a probe; or give --retrieval, which needs "
        "none");
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

void end_if_stopped() {
  end_if_interrupted("the evaluation was stopped, and nothing was written; the same command begins anew");
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

  Scores run(const std::string& what, const std::function<void(Batch&)>& change, std::vector<BadImage>* bad,
             FeatureTable* kept = nullptr) const {
    Scores scores(classifier_.classes());
    FeatureOptions options = frozen_.features;
    options.what = what;
    for_each_feature_batch(
        *frozen_.encoder, dataset_, options,
        [&](const Batch& batch, const Tensor& features) {
          std::vector<std::int32_t> labels;
          for (const std::int32_t of_set : batch.labels) labels.push_back(label(of_set));
          const Tensor rows = finite_on_host(features);
          scores.add(classifier_, rows, labels);
          if (kept == nullptr) return;
          kept->features.insert(kept->features.end(), rows.data<float>(), rows.data<float>() + rows.numel());
          kept->labels.insert(kept->labels.end(), batch.labels.begin(), batch.labels.end());
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

void report_unreadable(std::vector<BadImage> bad, nlohmann::json& result) {
  std::erase_if(bad, [](const BadImage& image) { return image.outcome != Outcome::rejected; });
  result["unreadable"] = bad.size();
  if (!bad.empty()) fmt::print("{}\n", left_out_line(bad.size(), bad[0]));
}

// Without a classifier.
void evaluate_encoder_alone(const Flags& flags, const Dataset& dataset, const FrozenEncoder& frozen) {
  const std::string warning = frozen.is_assumed ? "" : seen_images_warning(frozen.info, dataset);
  if (!warning.empty()) fmt::print("{}\n", one_line(warning));
  FeatureOptions options = frozen.features;
  options.what = "embedding";
  std::vector<BadImage> bad;
  const FeatureTable table = extract_features(*frozen.encoder, dataset, options, &bad);
  check(table.rows() > 0, ExitCode::data, "{}: not one image could be read", flags.data.path);
  check_finite_features(table.features);
  results_follow();
  nlohmann::json result = {{"evaluated_on", evaluated_on(dataset, table.rows())}};
  print_evaluated_on(dataset, table.rows());
  result["retrieval"] = print_retrieval(table, end_if_stopped);
  report_unreadable(std::move(bad), result);
  if (!flags.json.empty()) write_json(flags.json, result);
}

int evaluate(int argc, char** argv) {
  CommandLine line(
      "Measures an encoder with its classifier: accuracy, calibration, confusion, corruptions; or alone: "
      "retrieval.",
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
    end_if_stopped();
    return false;
  };
  if (flags.classifier.empty()) {
    evaluate_encoder_alone(flags, asked, *frozen);
    return 0;
  }
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
  FeatureTable table;
  table.dim = frozen->encoder->feature_dim;
  const Scores clean = evaluation.run("evaluating", {}, &bad, flags.retrieval ? &table : nullptr);
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
  if (flags.retrieval) result["retrieval"] = print_retrieval(table, end_if_stopped);
  report_unreadable(std::move(bad), result);
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
    "evaluate", "measures an encoder with its classifier: accuracy, calibration, corruptions, retrieval",
    evaluate);

}  // namespace
}  // namespace kindred
