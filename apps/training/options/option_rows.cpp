#include <kindred/apps/console/choice.h>
#include <kindred/apps/console/device_report.h>
#include <kindred/apps/console/preparation_flags.h>
#include <kindred/apps/processes/start.h>
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/option_values.h>
#include <kindred/apps/training/options/presets.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <thread>

namespace kindred {
namespace {

using namespace option_values;

constexpr Named<OnNonFinite> on_nonfinite_names[] = {{OnNonFinite::stop, "stop"}, {OnNonFinite::skip, "skip"}};

constexpr Named<DType> gradient_wire_names[] = {{DType::f32, "f32"}, {DType::bf16, "bf16"}};

constexpr Named<OptimizerKind> optimizer_names[] = {{OptimizerKind::sgd, "sgd"},
                                                    {OptimizerKind::lars, "lars"},
                                                    {OptimizerKind::rmsprop, "rmsprop"},
                                                    {OptimizerKind::adamw, "adamw"}};

bool is_rmsprop(const PretrainOptions& o) {
  return o.optimizer == OptimizerKind::rmsprop;
}
bool is_adamw(const PretrainOptions& o) {
  return o.optimizer == OptimizerKind::adamw;
}

std::vector<AnyOptionRow> make_rows() {
  using G = GivenOptions;
  using O = PretrainOptions;
  using Text = OptionRow<std::string>;
  using Count = OptionRow<std::int64_t>;
  using Number = OptionRow<double>;
  using Switch = OptionRow<bool>;
  return {
      Text("--out", nullptr, "folder for the results", &O::out),
      // Its key is its old name, so that earlier runs can resume.
      Text("--preset,--recipe", "recipe", preset_help(), &O::preset),
      Text("--model", "model",
           "encoder: resnet18 to resnet152, resnet20 to resnet56 (resnet50; on a CPU, if --image-size is not "
           "given either: resnet20 or resnet18, by the size and number of the pictures)",
           &O::model)
          .preset(&G::model)
          .otherwise("resnet50")
          .text(known_model),
      Text("--weights", "weights",
           "file of initial weights: an encoder.safetensors, a checkpoint or RUN of an earlier run, or "
           "torchvision's, "
           "timm's or SupContrast's weights",
           &O::weights),
      Switch("--best", "best", "with --weights RUN: the encoder of its best epoch, not the last", &O::best)
          .recorded_if([](const O& o) { return o.best; }),
      Text("--freeze-until", "freeze_until",
           "with --weights: the stages of the encoder up to this one do not learn: stem, layer1 to layer4, or "
           "encoder; none: all learn (none)",
           &O::freeze_until)
          .recorded_if([](const O& o) { return !o.freeze_until.empty(); }),
      Number("--encoder-lr-factor", "encoder_lr_factor",
             "learning rate of the encoder, relative to that of the head or classifier (1)",
             &O::encoder_lr_factor)
          .must_be("a number above 0", positive)
          .recorded_if([](const O& o) { return o.encoder_lr_factor != 1; }),
      Count("--views", "views", "augmented views of each image (2)", &O::views)
          .preset(&G::views)
          .otherwise(2)
          .must_be("1 to 64", within<1, 64>),
      Count("--image-size", "image_size",
            "side of a view in pixels (224; on a CPU, if --model is not given either: 32 to 128)",
            &O::image_size)
          .preset(&G::image_size)
          .otherwise(224)
          .must_be("8 to 4096 pixels", within<8, 4096>),
      Count("-b,--batch-size", "batch_size",
            "images in a batch, over all processes (256, or as many as a smaller set has)", &O::batch_size)
          .preset(&G::batch_size)
          .otherwise(256)
          .must_be("1 to 1048576", within<1, 1 << 20>),
      Count("--epochs", "epochs",
            "passes over the training images (100; on a CPU, if neither --model nor --image-size is given: "
            "fewer for a large set)",
            &O::epochs)
          .preset(&G::epochs)
          .otherwise(100)
          .must_be("1 to 1000000", within<1, 1'000'000>),
      OptionRow<OptimizerKind>("--optimizer", "optimizer", names_of(optimizer_names, " or ") + " (sgd)",
                               &O::optimizer)
          .preset(&G::optimizer)
          .otherwise("sgd")
          .text([](const std::string& text) { return choice("--optimizer", text, optimizer_names); },
                name_text<OptimizerKind>),
      Number("--lr", "lr", "peak learning rate (0.1; adamw: 0.001)", &O::lr)
          .preset(&G::lr)
          .otherwise_from([](const O& o) { return is_adamw(o) ? 1e-3 : 0.1; })
          .must_be("0 or more", not_negative),
      Number("--lr-floor", "lr_floor", "the cosine ends at this share of the peak (0)", &O::lr_floor)
          .preset(&G::lr_floor)
          .otherwise(0)
          .must_be("0 to 1", [](const double& v) { return v >= 0 && v <= 1; }),
      Number("--momentum", "momentum", "of the optimizer; adamw: beta 1 (0.9)", &O::momentum)
          .preset(&G::momentum)
          .otherwise(0.9)
          .must_be("0 or more and below 1", share_below_one),
      Number("--weight-decay", "weight_decay", "of the optimizer (1e-4; adamw: 0.01)", &O::weight_decay)
          .preset(&G::weight_decay)
          .otherwise_from([](const O& o) { return is_adamw(o) ? 0.01 : 1e-4; })
          .must_be("0 or more", not_negative),
      // Only runs with their optimizer depend on these. The defaults of rmsprop are those of stage one of
      // google-research/supcon, that of adamw is PyTorch's.
      Number("--rmsprop-rho", "rmsprop_rho",
             "rmsprop: the share of the mean square that a step keeps (0.9, as in Google's SupCon)",
             &O::rmsprop_rho)
          .preset(&G::rmsprop_rho)
          .otherwise(0.9)
          .must_be("0 or more and below 1", share_below_one)
          .recorded_if(is_rmsprop),
      Number("--rmsprop-eps", "rmsprop_eps",
             "rmsprop: epsilon, added inside the root (1, as in Google's SupCon)", &O::rmsprop_eps)
          .preset(&G::rmsprop_eps)
          .otherwise(1)
          .must_be("a number above 0", positive)
          .recorded_if(is_rmsprop),
      Number("--beta2", "beta2", "adamw: the share of the mean square that a step keeps (0.999)", &O::beta2)
          .preset(&G::beta2)
          .otherwise(0.999)
          .must_be("0 or more and below 1", share_below_one)
          .recorded_if(is_adamw),
      Number("--warmup-epochs", "warmup_epochs", "linear warm-up (a tenth of the epochs, at most 10)",
             &O::warmup_epochs)
          .preset(&G::warmup_epochs)
          .otherwise_from([](const O& o) { return std::min(10.0, static_cast<double>(o.epochs) / 10); })
          .must_be("0 or more, at most 1000000", [](const double& v) { return v >= 0 && v <= 1e6; }),
      Number("--warmup-start-lr", "warmup_start_lr", "where the warm-up starts (0)", &O::warmup_start_lr)
          .preset(&G::warmup_start_lr)
          .otherwise(0)
          .must_be("0 or more", not_negative),
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
          .recorded_if([](const O& o) { return o.exif != ExifMode::ignore; }),
      Switch("--deterministic", "deterministic", "on a GPU: the same bits in every run, at some cost",
             &O::deterministic),
      Count("-j,--workers", "workers", "threads that load images", &O::workers)
          .otherwise(std::max(1u, std::thread::hardware_concurrency()))
          .shown()
          .must_be("0 to 1024", within<0, 1024>),
      Count("--steps-per-launch", "steps_per_launch",
            "on a GPU: steps that are started together (0: 4 of images up to 64 pixels, else 1)",
            &O::steps_a_launch)
          .shown()
          .must_be("0 to 64", within<0, 64>),
      // A run goes on with any number of processes, so their number is no setting of it.
      Count("--processes", nullptr, processes_help, &O::processes)
          .preset(&G::processes)
          .otherwise(1)
          .must_be("1 to 65536", number_of_processes),
      Count("--gpus", nullptr, gpus_help, &O::gpus)
          .preset(&G::gpus)
          .otherwise(0)
          .must_be("1 to 65536", number_of_processes),
      Number("--timeout", nullptr, timeout_help, &O::timeout)
          .shown()
          .must_be("1 to 1000000 seconds", [](const double& v) { return v >= 1 && v <= most_timeout; }),
      Switch(
          "--sync-batch-norm", "sync_batch_norm",
          "with several processes: statistics of batch norms are of the images of all of them (on), as in one "
          "process, or of its own in each (off)",
          &O::sync_batch_norm)
          .preset(&G::sync_batch_norm)
          .otherwise(true)
          .recorded_if([](const O& o) { return !o.sync_batch_norm; }),
      OptionRow<DType>(
          "--gradient-wire", "gradient_wire",
          "with several processes: gradients travel in f32, or rounded to bf16 in half the bytes (f32)",
          &O::gradient_wire)
          .preset(&G::gradient_wire)
          .otherwise("f32")
          .text([](const std::string& text) { return choice("--gradient-wire", text, gradient_wire_names); },
                name_text<DType>)
          .recorded_if([](const O& o) { return o.gradient_wire != DType::f32; }),
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
      Switch("--strict", "strict", "fail on the first unreadable or damaged image", &O::strict),
      Count("--keep-checkpoints", "keep_checkpoints", "the newest N stay, and the best", &O::keep_checkpoints)
          .shown()
          .must_be("1 to 1000000", within<1, 1'000'000>),
      Switch("--allow-change", nullptr, "with --resume: continue even with other settings or data",
             &O::allow_change),
      Switch("--overwrite", nullptr, "replace the run in --out", &O::overwrite),
      Switch("--dry-run", nullptr, "print parameters, activations and peak memory, then end", &O::dry_run),
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
          .text(parse_sampling, name_text),
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
          .text(parse_batch_norm_scope, name_text),
      Count("--knn-every", "knn_every", "epochs between nearest-neighbour figures (a tenth of --epochs)",
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

const char* name(OptimizerKind kind) {
  return name_of(optimizer_names, kind);
}

const std::vector<AnyOptionRow>& option_rows() {
  static const std::vector<AnyOptionRow> rows = make_rows();
  return rows;
}

Device device_for(const PretrainOptions& options) {
  return options.gpu.empty() ? choose_device(options.device).device : Device::cuda;
}

}  // namespace kindred
