#include <kindred/apps/evaluation/seen_images.h>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <utility>

namespace kindred {
namespace {

// Whether images that are held out now were held out when an encoder was trained.
bool were_held_out(const std::optional<HeldOutImages>& trained, const HeldOutShare& now) {
  if (!trained) return false;
  auto steps = trained->before;
  steps.emplace_back(trained->fraction, trained->seed);
  const std::size_t earlier = now.before.size();
  if (steps.size() <= earlier || !std::equal(now.before.begin(), now.before.end(), steps.begin())) return false;
  const auto& [fraction, seed] = steps[earlier];
  return seed == now.seed && now.fraction <= fraction;
}

// How these images are held out, as flags.
template <typename Share>
std::string flags_of_share(const Share& share) {
  return fmt::format("--val-fraction {} --val-seed {}{}", share.fraction, share.seed,
                     share.before.empty() ? "" : " out of the training images of a pack");
}

// `what` was trained on a set of which `held` were held out, if any were.
std::string warning_about(const char* what, const std::optional<HeldOutImages>& held,
                          const Dataset& evaluation) {
  if (evaluation.origin().part == "all" && held)
    return fmt::format(
        "warning: the {} was trained on {} of a set: if that was this one, most of these images are its "
        "training images, and figures are too good; --split val measures those that it did not see",
        what, held->before.empty() ? fmt::format("all but {}", held->fraction) : "a part");
  const std::optional<HeldOutShare>& now = evaluation.origin().held_out;
  if (evaluation.origin().part != "held out" || !now) return {};
  if (were_held_out(held, *now)) return {};
  const std::string trained = held ? "with " + flags_of_share(*held) : "without --val-fraction";
  return fmt::format(
      "warning: the {} was trained {}: if that was on this set, it has seen images that it is now evaluated on "
      "({}), and figures are too good; give both programs the same",
      what, trained, flags_of_share(*now));
}

}  // namespace

std::optional<HeldOutImages> held_out_of(const Dataset& train) {
  const std::optional<HeldOutShare>& share = train.origin().held_out;
  if (!share) return std::nullopt;
  return HeldOutImages{share->fraction, share->seed, share->before};
}

std::string seen_images_warning(const EncoderInfo& encoder, const Dataset& evaluation) {
  return warning_about("encoder", encoder.held_out, evaluation);
}

std::vector<std::string> seen_images_warnings(const EncoderInfo* encoder, const Classifier& classifier,
                                              const Dataset& evaluation) {
  std::vector<std::string> warnings;
  if (encoder != nullptr)
    if (std::string warning = seen_images_warning(*encoder, evaluation); !warning.empty())
      warnings.push_back(std::move(warning));
  if (!classifier.held_out || (!warnings.empty() && encoder->held_out == classifier.held_out)) return warnings;
  if (std::string warning = warning_about("classifier", classifier.held_out, evaluation); !warning.empty())
    warnings.push_back(std::move(warning));
  return warnings;
}

}  // namespace kindred
