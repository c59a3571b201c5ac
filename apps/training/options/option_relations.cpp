#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/processes/start.h>  // defines: processes_here
#include <kindred/apps/training/gpu_rates/gpu_rates.h>
#include <kindred/apps/training/options/option_relations.h>
#include <kindred/data/views/recipe_json.h>
#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/models/resnet.h>

#include <fmt/ranges.h>  // defines: fmt::join

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace kindred {
namespace {

void check_fits_optimizer(const char* flag, const std::optional<double>& given, OptimizerKind fits,
                          OptimizerKind optimizer) {
  check(!given || optimizer == fits, ExitCode::usage, "{} is for --optimizer {}, not for {}; leave it out",
        flag, name(fits), name(optimizer));
}

// Whether the loss of a batch of one image is the same for all features: there are no negatives, and what is left compares
// the views of the image with each other.
bool is_constant_for_one_image(const PretrainOptions& o, const LossOptions& loss) {
  if (loss.kind == LossKind::triplet || loss.kind == LossKind::n_pairs) return true;
  if (loss.kind == LossKind::max_margin) return o.views == 1;
  if (!loss.is_softmax() || o.queue > 0) return false;  // a queue has other images
  const SupConOptions& supcon = loss.supcon;
  if (supcon.denominator != SupConDenominator::all || supcon.variant == SupConVariant::in) return true;
  const std::int64_t others = o.views - 1;
  return others <= 1 || supcon.positives_cap == 1;  // log 1: the denominator holds the positive alone
}

// "2 or 4 processes": up to three numbers, at most `most`, that give each process whole parts of `per_process` images.
// Empty: none does.
std::string fitting_processes(std::int64_t batch, std::int64_t per_process, std::int64_t most) {
  std::vector<std::int64_t> fitting;
  for (std::int64_t count = std::min(most, batch); count >= 1 && fitting.size() < 3; --count)
    if (batch % (count * per_process) == 0) fitting.push_back(count);
  std::sort(fitting.begin(), fitting.end());
  if (fitting.empty()) return "";
  return fmt::format("{} process{}", fmt::join(fitting, " or "), fitting.back() == 1 ? "" : "es");
}

// Every process has the same number of images, in whole micro-batches.
void check_shares(const PretrainOptions& o) {
  if (o.processes == 1) {
    check(o.micro_batch == 0 || o.batch_size % o.micro_batch == 0, ExitCode::usage,
          "--micro-batch {}: expected a divisor of --batch-size {}", o.micro_batch, o.batch_size);
    return;
  }
  const std::int64_t per_process = std::max<std::int64_t>(1, o.micro_batch), unit = o.processes * per_process;
  if (o.batch_size % unit == 0) return;
  const std::int64_t sizes = std::lcm(unit, o.per_class), below = o.batch_size / sizes * sizes;
  const std::int64_t least = o.loss == "cross_entropy" ? 1 : 2;  // the others compare images
  const std::string processes =
      o.batch_size < least ? "" : fitting_processes(o.batch_size, per_process, 2 * o.processes);
  const bool keeps_batch = o.resume && !o.allow_change;
  fail(ExitCode::usage,
       "--batch-size {}: {} processes take equal shares of it{}; --batch-size {}{}would fit{}{}", o.batch_size,
       o.processes,
       o.micro_batch > 0 ? fmt::format(", in micro-batches of {}", counted(o.micro_batch, "image")) : "",
       below > 0 ? fmt::format("{} or ", below) : "", fmt::format("{} ", below + sizes),
       processes.empty() ? "" : ", and so would " + processes,
       keeps_batch ? "; a run that goes on takes another --batch-size only with --allow-change" : "");
}

}  // namespace

void set_processes(PretrainOptions& o, const GivenOptions& flags) {
  const std::int64_t started = world().size(), asked = flags.gpus.value_or(flags.processes.value_or(1));
  o.processes = started == 1 && o.dry_run ? asked : started;
  // The default is a thread for each core, and the processes of a machine share its cores.
  const std::int64_t cores = std::max(1u, std::thread::hardware_concurrency());
  if (started > 1 && o.workers == cores) o.workers = std::max<std::int64_t>(1, cores / processes_here());
}

void check_relations(const PretrainOptions& o) {
  o.data.check_values();
  o.data.check_outside("--out", o.out);
  check(!o.best || !o.weights.empty(), ExitCode::usage,
        "--best is for --weights RUN, which says the best encoder of which run; give both, or leave it out");
  if (o.best && !o.resume) weights_file("--weights", o.weights, true);  // throws before the data set is read
  check(!o.allow_change || o.resume, ExitCode::usage, "--allow-change is for --resume");
  check(!(o.resume && o.overwrite), ExitCode::usage, "--resume and --overwrite exclude each other");
}

void check_prediction(const PretrainOptions& o) {
  check(o.gpu.empty() || o.dry_run, ExitCode::usage,
        "--gpu is for --dry-run, which predicts a step's time there; --device cuda trains on the GPU that is "
        "here");
  check(o.prediction.empty() || !o.gpu.empty(), ExitCode::usage, "--prediction is for --dry-run --gpu");
  check(o.gpu.empty() || o.device == "auto" || o.device == "cuda", ExitCode::usage,
        "--device {} does not go with --gpu, which predicts for a GPU; leave one of them out", o.device);
  if (!o.gpu.empty()) gpu_rates(o.gpu);  // throws before the data set is read
  o.data.check_outside("--prediction", o.prediction);
}

void set_views(PretrainOptions& o, const GivenOptions& flags) {
  const ImageViews made = image_views(o.augment, static_cast<int>(o.image_size), static_cast<int>(o.views));
  check(!made.views_fixed || !flags.views || *flags.views == made.views(), ExitCode::usage,
        "--views {}: {} describes {} views; leave --views out", o.views, o.augment, made.views());
  o.view_groups = made.groups;
  for (ViewGroup& group : o.view_groups) group.recipe.resize = o.resize;
  o.views = made.views();
}

void check_flags_fit(const PretrainOptions& o, const GivenOptions& flags, const LossOptions& loss) {
  check_fits_loss("--temperature", flags.temperature.has_value(),
                  loss.is_softmax() || loss.kind == LossKind::n_pairs, o.loss);
  check_fits_loss("--base-temperature", flags.base_temperature.has_value(), loss.is_softmax(), o.loss);
  check_fits_loss("--head", flags.head.has_value(), !loss.classifies(), o.loss);
  check_fits_optimizer("--rmsprop-rho", flags.rmsprop_rho, OptimizerKind::rmsprop, o.optimizer);
  check_fits_optimizer("--rmsprop-eps", flags.rmsprop_eps, OptimizerKind::rmsprop, o.optimizer);
  check_fits_optimizer("--beta2", flags.beta2, OptimizerKind::adamw, o.optimizer);
  check(!flags.batch_norm_scope || o.micro_batch > 0, ExitCode::usage,
        "--batch-norm-scope is for --micro-batch");
}

void check_batch(const PretrainOptions& o) {
  check(o.batch_size % o.per_class == 0, ExitCode::usage,
        "--per-class {}: expected a divisor of --batch-size {}, 1 or more", o.per_class, o.batch_size);
  const std::int64_t rows = (o.momentum_encoder > 0 ? o.views - 1 : o.views) * o.batch_size;
  check(o.queue == 0 || (o.queue >= rows && o.queue <= 1 << 24), ExitCode::usage,
        "--queue {}: expected at least the {} rows that a batch adds, and at most 16777216", o.queue, rows);
  check_shares(o);
}

void check_one_image(const PretrainOptions& o, const LossOptions& loss) {
  check(
      o.batch_size != 1 || !is_constant_for_one_image(o, loss), ExitCode::usage,
      "--batch-size 1 with --loss {}: one image has no others to be compared with, so the loss is the same for "
      "all features and nothing is learned; use --batch-size 2 or more",
      o.loss);
}

void check_beyond_the_batch(const PretrainOptions& o, const LossOptions& loss) {
  const bool remembers = o.queue != 0 || o.momentum_encoder != 0;
  check(!remembers || loss.is_softmax(), ExitCode::usage,
        "--queue and --momentum-encoder are for --loss supcon and simclr, not for {}", o.loss);
  check(!remembers || loss.supcon.positives_cap == 0, ExitCode::usage,
        "--positives-cap does not go with --queue or --momentum-encoder; leave it out");
  if (o.momentum_encoder != 0) {
    check(o.views >= 2, ExitCode::usage,
          "--momentum-encoder with --views 1: it processes all views except the first; use --views 2");
    check(view_sizes(o.view_groups).size() == 1, ExitCode::usage,
          "--momentum-encoder: the views of {} have several sizes; it takes one", o.augment);
  }
}

void check_freezing(const PretrainOptions& o, const LossOptions& loss, bool model_is_known) {
  if (o.freeze_until.empty()) return;
  check(!o.weights.empty(), ExitCode::usage,
        "--freeze-until {} without --weights: random weights would stay as they are; give --weights, or leave "
        "it out",
        o.freeze_until);
  if (!model_is_known) return;
  const ResNetSpec& spec = resnet_spec(o.model);
  const std::vector<std::string> stages = freezable_stages(spec);
  check(o.freeze_until == "conv1" || std::find(stages.begin(), stages.end(), o.freeze_until) != stages.end(),
        ExitCode::usage, "--freeze-until {}: {} has {}", o.freeze_until, spec.name, fmt::join(stages, ", "));
  const bool freezes_all = frozen_stages(spec, o.freeze_until) == spec.depths.size() + 1;
  check(!freezes_all || loss.classifies() || o.head != HeadKind::none, ExitCode::usage,
        "--freeze-until {} with --head none: nothing is left to learn", o.freeze_until);
}

}  // namespace kindred
