#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/rows/option_parts.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <iterator>

namespace kindred {
namespace option_parts {
namespace {

constexpr Named<OnNonFinite> on_nonfinite_names[] = {{OnNonFinite::stop, "stop"}, {OnNonFinite::skip, "skip"}};

// --temperature to --exif: how the loss scales similarities, and how pictures become numbers.
std::vector<AnyOptionRow> loss_and_pixel_rows() {
  return {
      Number("--temperature", "temperature", "of the loss (0.1)", &O::temperature)
          .preset(&G::temperature)
          .otherwise(0.1)
          .must_be("a number above 0", positive),
      Number("--base-temperature", "base_temperature", "scale the loss by temperature / this (0)",
             &O::base_temperature)
          .preset(&G::base_temperature)
          .otherwise(0)
          .must_be("0 (unscaled) or more", not_negative),
      Text("--pixels", "pixels", "mean and deviation of pixels: imagenet, cifar10 or cifar100", &O::pixels)
          .preset(&G::pixels)
          .otherwise_from([](const O& o) -> std::string { return o.image_size <= 32 ? "cifar10" : "imagenet"; })
          .text(known_pixels),
      OptionRow<ResizeMode>("--resize", "resize", fmt::format("{} (crop)", resize_help), &O::resize)
          .preset(&G::resize)
          .otherwise("crop")
          .text(parse_resize, [](const ResizeMode& mode) -> std::string { return name_of(resize_names, mode); })
          .recorded_if([](const O& o) { return o.resize != ResizeMode::crop; }),
      OptionRow<ExifMode>("--exif", "exif", fmt::format("{} (ignore)", exif_help), &O::exif)
          .preset(&G::exif)
          .otherwise("ignore")
          .text(parse_exif, [](const ExifMode& mode) -> std::string { return name_of(exif_names, mode); })
          .recorded_if([](const O& o) { return o.exif != ExifMode::ignore; })};
}

// --per-class to --dry-run: which images a run accepts, and what stays in its folder.
std::vector<AnyOptionRow> image_and_folder_rows() {
  return {
      Count("--per-class", "per_class",
            "at least N images of each class in a batch, so that anchors have positives", &O::per_class)
          .shown()
          .must_be("1 or more", at_least_one),
      Switch("--online-probe", "online_probe", "also train a linear classifier and report its accuracy",
             &O::online_probe),
      Text("--max-bad", "max_bad", "how many unreadable images are accepted", &O::max_bad)
          .shown()
          .must_be(max_bad_expected,
                   [](const std::string& text) { return accepted_bad_images(text, 0).has_value(); }),
      Switch("--no-tensorboard", "no_tensorboard", "do not write OUT/tensorboard", &O::no_tensorboard)
          .recorded_if([](const O& o) { return o.no_tensorboard; }),
      Switch("--metrics-csv", "metrics_csv", "also write OUT/metrics.csv after every epoch", &O::metrics_csv)
          .recorded_if([](const O& o) { return o.metrics_csv; }),
      Switch("--report", "report", "also draw OUT/report.html, a page about the run, while it goes",
             &O::report)
          .recorded_if([](const O& o) { return o.report; }),
      Switch("--strict", "strict", "fail on the first unreadable or damaged image", &O::strict),
      Count("--keep-checkpoints", "keep_checkpoints", "the newest N stay, and the best", &O::keep_checkpoints)
          .shown()
          .must_be("1 to 1000000", within<1, 1'000'000>),
      Switch("--allow-change", nullptr, "with --resume: continue even with other settings or data",
             &O::allow_change),
      Switch("--overwrite", nullptr, "replace the run in --out", &O::overwrite),
      Switch("--dry-run", nullptr, "print parameters, activations and peak memory, then end", &O::dry_run)};
}

// --head to --sampling: what is chosen by name.
std::vector<AnyOptionRow> named_choice_rows() {
  return {
      OptionRow<HeadKind>("--head", "head", "projection head: linear, mlp or none (mlp)", &O::head)
          .preset(&G::head)
          .otherwise("mlp")
          .text(parse_head, name_text),
      OptionRow<Stem>("--stem", "stem", "imagenet or cifar (cifar up to 32 pixels)", &O::stem)
          .preset(&G::stem)
          .otherwise_from([](const O& o) { return name_text(default_stem(o.image_size)); })
          .text(parse_stem, name_text),
      Text("--loss", "loss",
           "supcon, simclr (nt_xent), triplet, n_pairs, max_margin, or cross_entropy on a classifier", &O::loss)
          .shown(),
      Text("--augment", "augment", recipe_names() + ", or a file: RECIPE.json (by image size)", &O::augment)
          .preset(&G::augment)
          .otherwise_from(
              [](const O& o) -> std::string { return o.image_size <= 64 ? "cifar" : "simaugment"; }),
      OptionRow<Precision>("--precision", "precision", precision_help, &O::precision)
          .preset(&G::precision)
          .otherwise_from([](const O& o) { return name_text(default_precision(device_for(o))); })
          .text(parse_precision, name_text),
      Text("--device", "device", device_help, &O::device).otherwise("auto").shown(),
      OptionRow<std::uint64_t>("--seed", "seed", "of everything random", &O::seed),
      OptionRow<Sampling>(
          "--sampling", "sampling",
          "uniform, or inverse-frequency: every class equally often, however many images it has", &O::sampling)
          .preset(&G::sampling)
          .otherwise("uniform")
          .shown()
          .text(parse_sampling, name_text)};
}

// --queue to --batch-norm-scope: what a step contrasts and keeps in memory, and what is watched from step to step.
std::vector<AnyOptionRow> step_rows() {
  return {
      Count("--queue", "queue", "supcon and simclr: number of past features that are also contrasts (0)",
            &O::queue)
          .must_be("0 (none) or more", at_least_zero),
      Count("--early-stop", "early_stop",
            "end the run when the figure that selects the best epoch has not improved for N epochs (0)",
            &O::early_stop)
          .must_be("0 (never) or more", at_least_zero)
          .recorded_if([](const O& o) { return o.early_stop > 0; }),
      Count("--log-every", nullptr, "a line every N steps: loss, learning rate and views per second (0)",
            &O::log_every)
          .must_be("0 (none) or more", at_least_zero),
      Number(
          "--momentum-encoder", "momentum_encoder",
          "momentum of a slow copy of the model, which computes the contrasts from all views except the first",
          &O::momentum_encoder)
          .preset(&G::momentum_encoder)
          .otherwise(0)
          .must_be("a number above 0 and below 1 (0.999)", [](const double& v) { return v > 0 && v < 1; }),
      Count("--micro-batch", "micro_batch",
            "images that go through the network at once, for batches larger than memory (all)", &O::micro_batch)
          .preset(&G::micro_batch)
          .otherwise(0)
          .must_be("1 or more images", at_least_one),
      OptionRow<BatchNormScope>(
          "--batch-norm-scope", "batch_norm_scope",
          "with --micro-batch: statistics of each micro-batch, or of the full batch, exact and slower (micro)",
          &O::batch_norm_scope)
          .preset(&G::batch_norm_scope)
          .otherwise("micro")
          .text(parse_batch_norm_scope, name_text)};
}

// --knn-every to --prediction: what is done at intervals or if a value is not finite, and predictions.
std::vector<AnyOptionRow> interval_and_prediction_rows() {
  return {Count("--knn-every", "knn_every", "epochs between nearest-neighbour figures (a tenth of --epochs)",
                &O::knn_every)
              .preset(&G::knn_every)
              .otherwise_from([](const O& o) { return std::max<std::int64_t>(1, o.epochs / 10); })
              .must_be("0 (never) or more", at_least_zero),
          OptionRow<CheckpointInterval>(
              "--checkpoint-every", "checkpoint_every",
              "steps (500) or time (90s, 10m, 2h) between checkpoints (epochs and 10m, if saving is fast)",
              &O::checkpoint_every)
              .preset(&G::checkpoint_every)
              .text(interval_or_none, [](const CheckpointInterval& interval) { return interval.to_string(); }),
          OptionRow<OnNonFinite>("--on-nonfinite", "on_nonfinite",
                                 "if a loss or gradient is not finite: stop the run, or skip the step",
                                 &O::on_nonfinite)
              .preset(&G::on_nonfinite)
              .otherwise("stop")
              .shown()
              .text([](const std::string& text) { return choice("--on-nonfinite", text, on_nonfinite_names); },
                    [](const OnNonFinite& on) -> std::string { return name_of(on_nonfinite_names, on); }),
          Text("--gpu", nullptr,
               fmt::format("with --dry-run: predict the time of each layer on {}, or RATES.json",
                           fmt::join(gpu_names(), ", ")),
               &O::gpu),
          Text("--prediction", nullptr, "with --gpu: write the figures to this JSON file", &O::prediction)};
}

}  // namespace
}  // namespace option_parts

namespace {

// The parts stand in the order of --help.
std::vector<AnyOptionRow> make_rows() {
  using namespace option_parts;
  std::vector<AnyOptionRow> rows;
  for (const auto part : {model_rows, optimizer_rows, loss_and_pixel_rows, machine_rows, image_and_folder_rows,
                          named_choice_rows, step_rows, interval_and_prediction_rows}) {
    std::vector<AnyOptionRow> next = part();
    rows.insert(rows.end(), std::move_iterator(next.begin()), std::move_iterator(next.end()));
  }
  return rows;
}

}  // namespace

const std::vector<AnyOptionRow>& option_rows() {
  static const std::vector<AnyOptionRow> rows = make_rows();
  return rows;
}

Device device_for(const PretrainOptions& options) {
  return options.gpu.empty() ? choose_device(options.device).device : Device::cuda;
}

}  // namespace kindred
