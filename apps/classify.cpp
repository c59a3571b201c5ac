// Classifies images: prints the most probable classes of each.
#include <kindred/apps/console/command_line.h>
#include <kindred/apps/console/images/given_images.h>
#include <kindred/apps/console/interrupt.h>
#include <kindred/apps/console/main.h>
#include <kindred/apps/console/progress.h>
#include <kindred/apps/evaluation/answers.h>
#include <kindred/apps/evaluation/classifying.h>
#include <kindred/apps/evaluation/encoder_flags.h>
#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/data/images/decoding_memory.h>
#include <kindred/data/sets/folders/image_names.h>
#include <kindred/data/views/augment.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/engine/tape.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace kindred {
namespace {

struct Flags {
  std::vector<std::string> images;
  EncoderFlags encoder;
  std::string classifier;
  std::int64_t top = 5;
  bool json = false, csv = false;
};

void add_flags(CommandLine& line, Flags& f) {
  line.add("IMAGE", f.images,
           "image files, folders of images, and lists: text files (.txt) with a path on each line")
      .required();
  f.encoder.add_to(line);
  line.add("--classifier", f.classifier,
           "classifier.safetensors of a probe or of a run with cross_entropy, its folder, or a file with fc.*")
      .required();
  line.add("--top", f.top, "classes to name").shows_default().within(positive_integers);
  const Flag json = line.add_switch("--json", f.json, "a list of objects instead of lines");
  line.add_switch("--csv", f.csv, "a table instead: path, class1, probability1, class2 ... error")
      .excludes(json);
}

// Why a file is no image that can be classified. One that is not called like an image may be meant as a list.
std::string unreadable_reason(const std::string& file, const std::string& reason) {
  std::error_code ignored;
  if (!promised_format(file).empty() || !std::filesystem::is_regular_file(file, ignored)) return reason;
  return reason + "; a list of images is a text file (.txt) with a path on each line";
}

// Classifies these images as one batch.
std::vector<Answer> classify_batch(const Flags& f, const FrozenEncoder& frozen, const Classifier& classifier,
                                   std::span<const std::string> images) {
  const int side = frozen.features.image_size;
  const std::size_t view_bytes = std::size_t(side) * std::size_t(side) * 3;
  Recipe plain = recipe("none", side);
  plain.resize = frozen.info.resize;
  DecodeLimits limits;
  limits.exif = frozen.info.exif;
  std::vector<Answer> answers(images.size());
  std::vector<std::uint8_t> pixels;
  std::vector<std::size_t> readable;
  AugmentScratch scratch;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Decoded decoded =
        with_memory_for_picture([&] { return images[i]; }, [&] { return decode_file(images[i], limits); });
    if (decoded.outcome == Outcome::rejected) {
      answers[i].problem = unreadable_reason(images[i], decoded.reason);
      continue;
    }
    pixels.resize(pixels.size() + view_bytes);
    RandomStream unused(0, Purpose::augment);
    make_view(decoded.image, plain, side, unused, pixels.data() + pixels.size() - view_bytes, scratch);
    readable.push_back(i);
  }
  if (readable.empty()) return answers;
  const Tensor bytes =
      Tensor::from(pixels, {static_cast<std::int64_t>(readable.size()), side, side, 3}, frozen.features.device);
  const Tensor features = finite_on_host((*frozen.encoder)(
      normalize_images(bytes, frozen.info.pixels, frozen.features.precision), Mode::evaluate));
  const std::vector<double> log_probabilities = class_log_probabilities(classifier, features);
  const auto classes = static_cast<std::size_t>(classifier.classes());
  for (std::size_t row = 0; row < readable.size(); ++row)
    answers[readable[row]].predictions =
        most_probable(classifier, std::span(log_probabilities).subspan(row * classes, classes), f.top);
  return answers;
}

int classify(int argc, char** argv) {
  CommandLine line("Names the most probable classes of images.", "classify");
  Flags flags;
  add_flags(line, flags);
  if (const auto done = line.parse(argc, argv)) return *done;
  flags.encoder.check_values();
  flags.classifier = classifier_file(flags.classifier, flags.encoder.best);
  watch_for_interrupts();
  const std::vector<std::string> images = image_paths(flags.images);
  const auto frozen = flags.encoder.load(stderr);
  const Classifier classifier = load_classifier(flags.classifier, frozen->encoder->feature_dim);
  if (const auto warning = other_encoder_warning(classifier, flags.classifier, frozen->store); !warning.empty())
    fmt::print(stderr, "{}\n", one_line(warning));

  const NoGrad no_grad;
  AnswerPrinter printer(flags.csv    ? AnswerForm::csv
                        : flags.json ? AnswerForm::json
                                     : AnswerForm::lines,
                        std::min(flags.top, classifier.classes()));
  const auto batch = static_cast<std::size_t>(flags.encoder.batch_size);
  std::size_t done = 0, unreadable = 0;
  std::string first_unreadable;
  while (done < images.size() && interrupt_signal() == 0) {
    const auto some = std::span(images).subspan(done, std::min(batch, images.size() - done));
    std::vector<Answer> answers;
    try {
      answers = classify_batch(flags, *frozen, classifier, some);
    } catch (const Error&) {
      if (done > 0) printer.finish();  // what is printed is whole
      throw;
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      printer.print(some[i], answers[i]);
      if (answers[i].problem.empty()) continue;
      if (unreadable++ == 0) first_unreadable = fmt::format("{}: {}", one_line(some[i]), answers[i].problem);
    }
    done += some.size();
  }
  printer.finish();  // also after a signal: what is printed is whole, and the code says that images are missing
  if (done < images.size())
    end_if_interrupted(fmt::format("{} of {} were classified; the same command begins anew", done,
                                   counted(images.size(), "image")));
  check(unreadable == 0, ExitCode::data, "{} of {} could not be read{}{}", unreadable,
        counted(images.size(), "image"), unreadable > 1 ? ", for example " : ": ", first_unreadable);
  return 0;
}

const Program classify_program("classify", "names the most probable classes of images", classify);

}  // namespace
}  // namespace kindred
