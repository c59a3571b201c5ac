#include <kindred/apps/evaluation/seen_images.h>

#include <fmt/core.h>

namespace kindred {

std::string seen_images_warning(const EncoderInfo& encoder, const DataFlags& data, const Dataset& evaluation) {
  if (evaluation.origin().part == "all" && encoder.held_out)
    return fmt::format(
        "warning: the encoder was trained on all but {} of a set: if that was this one, most of these images "
        "are its "
        "training images, and figures are too good; --split val measures those that it did not see",
        encoder.held_out->fraction);
  if (evaluation.origin().part != "held out") return {};
  const double fraction = data.held_out_fraction();
  const auto& held = encoder.held_out;
  if (held && held->seed == data.val_seed && fraction <= held->fraction) return {};
  const std::string trained =
      held ? fmt::format("with --val-fraction {} --val-seed {}", held->fraction, held->seed)
           : "without --val-fraction";
  return fmt::format(
      "warning: the encoder was trained {}: if that was on this set, it has seen images that it is now "
      "evaluated on "
      "(--val-fraction {} --val-seed {}), and figures are too good; give both programs the same",
      trained, fraction, data.val_seed);
}

}  // namespace kindred
