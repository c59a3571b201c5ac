#include <kindred/apps/evaluation/seen_images.h>
#include <kindred/data/sets/fingerprint.h>
#include <kindred/data/sets/subset.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace kindred {
namespace {

// A training of which a warning speaks.
struct Training {
  std::string what;  // was trained: "encoder"
  std::string advice = "give both programs the same";
};

// Whether images that are held out now were held out when an encoder was trained.
bool were_held_out(const std::optional<HeldOutImages>& trained, const Origin& now) {
  if (!trained || trained->fraction == 0) return false;
  auto steps = trained->before;
  steps.emplace_back(trained->fraction, trained->seed);
  const auto& earlier = now.held_out->before;
  if (steps.size() <= earlier.size() || !std::equal(earlier.begin(), earlier.end(), steps.begin()))
    return false;
  const std::pair<double, std::uint64_t>& step = steps[earlier.size()];
  const double fraction = now.held_out->fraction;
  if (step.second != now.held_out->seed) return false;
  if (fraction <= step.first) return true;
  // A larger share of few images may be the same number of them.
  return !now.divided.empty() && std::all_of(now.divided.begin(), now.divided.end(), [&](std::int64_t images) {
    return held_out_of_class(images, fraction) <= held_out_of_class(images, step.first);
  });
}

// How these images are held out, as flags.
template <typename Share>
std::string flags_of_share(const Share& share) {
  return fmt::format("--val-fraction {} --val-seed {}{}", share.fraction, share.seed,
                     share.before.empty() ? "" : " out of the training images of a pack");
}

// `evaluation` is all images of a set.
std::string warning_about_all(const std::string& what, const HeldOutImages& held, const Dataset& evaluation) {
  if (held.fraction == 0) {
    if (held.all_of != data_fingerprint(evaluation)) return {};
    return fmt::format(
        "warning: the {} was trained on all of these images, and figures are too good; evaluate it on others, "
        "or hold some out of its training by --val-fraction",
        what);
  }
  // What was held out first is what no later step has trained on.
  const std::pair<double, std::uint64_t> first =
      held.before.empty() ? std::pair(held.fraction, held.seed) : held.before.front();
  return fmt::format(
      "warning: the {} was trained on {} of a set: if that was this one, most of these images are its training "
      "images, and figures are too good; --split val --val-fraction {} --val-seed {} measures those that it "
      "did not see",
      what, held.before.empty() ? fmt::format("all but {}", held.fraction) : "a part", first.first,
      first.second);
}

// The training was on a set of which `held` were held out, if any were.
std::string warning_about(const Training& training, const std::optional<HeldOutImages>& held,
                          const Dataset& evaluation) {
  const Origin& now = evaluation.origin();
  if (now.part == "all") return held ? warning_about_all(training.what, *held, evaluation) : std::string();
  // What was held out when a pack was made is its val.
  const bool is_held_out = now.held_out.has_value() && (now.part == "held out" || now.part == "val");
  if (!is_held_out || were_held_out(held, now)) return {};
  const std::string trained = !held                 ? "without --val-fraction"
                              : held->fraction == 0 ? "with nothing held out"
                                                    : "with " + flags_of_share(*held);
  return fmt::format(
      "warning: the {} was trained {}: if that was on this set, it has seen images that it is now evaluated on "
      "({}), and figures are too good; {}",
      training.what, trained, flags_of_share(*now.held_out), training.advice);
}

}  // namespace

std::optional<HeldOutImages> held_out_of(const Dataset& train) {
  const Origin& origin = train.origin();
  if (origin.is_undivided) return HeldOutImages{0, 0, {}, data_fingerprint(train)};
  if (!origin.held_out) return std::nullopt;
  return HeldOutImages{origin.held_out->fraction, origin.held_out->seed, origin.held_out->before};
}

std::string seen_images_warning(const EncoderInfo& encoder, const Dataset& evaluation,
                                const std::string& what) {
  std::string warning = warning_about({what}, encoder.held_out, evaluation);
  const Training earlier{"encoder that this encoder began with", "give all trainings the same"};
  for (std::size_t i = encoder.trained_before.size(); i > 0 && warning.empty(); --i)
    warning = warning_about(earlier, encoder.trained_before[i - 1], evaluation);
  return warning;
}

std::vector<std::string> seen_images_warnings(const EncoderInfo* encoder, const Classifier& classifier,
                                              const Dataset& evaluation) {
  std::vector<std::string> warnings;
  if (encoder != nullptr)
    if (std::string warning = seen_images_warning(*encoder, evaluation); !warning.empty())
      warnings.push_back(std::move(warning));
  if (!classifier.held_out || (!warnings.empty() && encoder->held_out == classifier.held_out)) return warnings;
  if (std::string warning = warning_about({"classifier"}, classifier.held_out, evaluation); !warning.empty())
    warnings.push_back(std::move(warning));
  return warnings;
}

}  // namespace kindred
