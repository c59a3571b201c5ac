// Classifies images: prints the most probable classes of each.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/tape.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <numeric>

namespace kindred {
namespace {

struct Flags {
  std::vector<std::string> images;
  EncoderFlags encoder;
  std::string classifier;
  std::int64_t top = 5;
  bool json = false;
};

void add_flags(CommandLine& line, Flags& f) {
  line.add("IMAGE", f.images, "image files").required();
  f.encoder.add_to(line);
  line.add("--classifier", f.classifier, "the classifier.safetensors of a probe, or a file with fc.*")
      .required();
  line.add("--top", f.top, "classes to name").shows_default();
  line.add_switch("--json", f.json, "a list of objects instead of lines");
}

struct Answer {
  std::string problem;                                      // empty if the picture could be read
  std::vector<std::pair<std::string, double>> predictions;  // class and probability, best first
};

std::vector<std::pair<std::string, double>> best_of(const Classifier& classifier, const double* probabilities,
                                                    std::int64_t top) {
  std::vector<std::size_t> order(classifier.class_names.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return probabilities[a] > probabilities[b]; });
  order.resize(std::min(order.size(), static_cast<std::size_t>(top)));
  std::vector<std::pair<std::string, double>> best;
  for (const std::size_t i : order) best.emplace_back(classifier.class_names[i], probabilities[i]);
  return best;
}

// Classifies the images [first, first + answers.size()) as one batch.
void classify_batch(const Flags& f, const FrozenEncoder& frozen, const Classifier& classifier,
                    std::size_t first, std::span<Answer> answers) {
  const int side = frozen.features.image_size;
  const std::size_t view_bytes = std::size_t(side) * std::size_t(side) * 3;
  const Recipe plain = recipe("none", side);
  std::vector<std::uint8_t> pixels;
  std::vector<std::size_t> readable;
  AugmentScratch scratch;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Decoded decoded = decode_file(f.images[first + i]);
    if (decoded.outcome == Outcome::rejected) {
      answers[i].problem = decoded.reason;
      continue;
    }
    pixels.resize(pixels.size() + view_bytes);
    RandomStream unused(0, Purpose::augment);
    make_view(decoded.image, plain, side, unused, pixels.data() + pixels.size() - view_bytes, scratch);
    readable.push_back(i);
  }
  if (readable.empty()) return;
  const Tensor bytes =
      Tensor::from(pixels, {static_cast<std::int64_t>(readable.size()), side, side, 3}, frozen.features.device);
  const Tensor features =
      (*frozen.encoder)(normalize_images(bytes, frozen.info.pixels, frozen.features.precision), Mode::evaluate);
  const std::vector<double> probabilities = class_probabilities(classifier, features);
  for (std::size_t row = 0; row < readable.size(); ++row)
    answers[readable[row]].predictions =
        best_of(classifier, &probabilities[row * static_cast<std::size_t>(classifier.classes())], f.top);
}

void print_json(const Flags& f, const std::vector<Answer>& answers) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 0; i < answers.size(); ++i) {
    nlohmann::json entry{{"path", f.images[i]}};
    if (!answers[i].problem.empty()) entry["error"] = answers[i].problem;
    for (const auto& [name, probability] : answers[i].predictions)
      entry["predictions"].push_back({{"class", name}, {"probability", probability}});
    list.push_back(entry);
  }
  fmt::print("{}\n", json_text(list, 2));
}

void print_lines(const Flags& f, const std::vector<Answer>& answers) {
  for (std::size_t i = 0; i < answers.size(); ++i) {
    std::string line = f.images[i] + ":";
    if (!answers[i].problem.empty()) line += " cannot be read: " + answers[i].problem;
    for (const auto& [name, probability] : answers[i].predictions)
      line += fmt::format("{} {} {:.4f}", line.ends_with(':') ? "" : ",", name, probability);
    fmt::print("{}\n", line);
  }
}

int classify(int argc, char** argv) {
  CommandLine line("Names the most probable classes of images.", "classify");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.encoder.check_values();
  check(flags.top >= 1, ExitCode::usage, "--top {}: expected 1 or more", flags.top);
  const auto frozen = flags.encoder.load(stderr);
  const Classifier classifier = load_classifier(flags.classifier, frozen->encoder->feature_dim);

  const NoGrad no_grad;
  std::vector<Answer> answers(flags.images.size());
  const auto batch = static_cast<std::size_t>(flags.encoder.batch_size);
  for (std::size_t first = 0; first < answers.size(); first += batch)
    classify_batch(flags, *frozen, classifier, first,
                   std::span(answers).subspan(first, std::min(batch, answers.size() - first)));
  if (flags.json)
    print_json(flags, answers);
  else
    print_lines(flags, answers);
  std::size_t unreadable = 0;
  for (const Answer& answer : answers) unreadable += !answer.problem.empty();
  check(unreadable == 0, ExitCode::data, "{} of {} images could not be read", unreadable, answers.size());
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::classify);
}
