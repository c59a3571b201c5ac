// Stage one: trains an encoder by contrast. See train_epoch() for the algorithm; the rest is bookkeeping.
#include <kindred/apps/common/checkpoint.h>
#include <kindred/apps/common/command_line.h>
#include <kindred/apps/common/device_report.h>
#include <kindred/apps/common/features.h>
#include <kindred/apps/common/main.h>
#include <kindred/apps/common/memory_plan.h>
#include <kindred/apps/common/pretrain_options.h>
#include <kindred/apps/common/progress.h>
#include <kindred/apps/common/run_folder.h>
#include <kindred/apps/common/step.h>
#include <kindred/data/loader.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/schedule.h>
#include <kindred/models/encoder_file.h>

#include <cmath>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_neighbour_images = 10000;  // the figure costs a forward pass of each
const std::vector<std::string> run_files = {"config.json", "metrics.jsonl", "encoder.safetensors",
                                            "checkpoint.safetensors", "bad_images.tsv"};

LoaderOptions training_loader(const PretrainOptions& o) {
  LoaderOptions loading;
  loading.batch_size = o.batch_size;
  loading.views = static_cast<int>(o.views);
  loading.size = static_cast<int>(o.image_size);
  loading.recipe = recipe(o.augment, static_cast<int>(o.image_size));
  loading.workers = static_cast<int>(o.workers);
  loading.seed = o.seed;
  loading.max_bad = o.max_bad;
  loading.strict = o.strict;
  loading.sampling = o.sampling;
  loading.per_class = o.per_class;
  return loading;
}

Schedule schedule_of(const PretrainOptions& o, std::int64_t steps_per_epoch) {
  Warmup warmup;
  warmup.steps = std::llround(o.warmup_epochs * static_cast<double>(steps_per_epoch));
  warmup.start = o.warmup_start_lr;
  return Schedule::cosine(o.lr, o.epochs * steps_per_epoch, o.lr * o.lr_floor).with_warmup(warmup);
}

struct EpochResult {
  double loss = 0;          // mean over the steps
  double step_seconds = 0;  // in training steps
  double wait_seconds = 0;  // without a batch at hand
};

class Run {
 public:
  Run(const PretrainOptions& options, Device device, Dataset train, std::optional<Dataset> evaluation)
      : o_(options),
        device_(device),
        train_(std::move(train)),
        evaluation_(std::move(evaluation)),
        loader_(train_, training_loader(o_)),
        steps_per_epoch_(loader_.batches_per_epoch()),
        schedule_(schedule_of(o_, steps_per_epoch_)),
        model_(o_.model, o_.stem, o_.head) {
    model_.store.allocate(device_, o_.seed, o_.precision);
    optimizer_ = make_optimizer(o_, model_.store);
  }

  void resume() {
    position_ = load_checkpoint(fs::path(o_.out) / "checkpoint.safetensors", model_.store, *optimizer_);
    check(position_.steps_done == position_.epochs_done * steps_per_epoch_, ExitCode::usage,
          "--resume: the data set or --batch-size changed: an epoch has {} steps now", steps_per_epoch_);
  }

  void train() {
    fmt::print("{} images in {} classes, {} steps an epoch, learning rate {}\n", train_.size(),
               train_.classes(), steps_per_epoch_, schedule_.to_string());
    fmt::print("{}: {} parameters; a loss of {:.3f} is that of features that are all the same\n", o_.model,
               model_.store.parameter_count(), chance_loss());
    if (position_.epochs_done >= o_.epochs) fmt::print("the run is finished already\n");
    while (position_.epochs_done < o_.epochs) {
      const double start = now_seconds();
      const EpochResult result = train_epoch();
      const std::optional<double> neighbours = nearest_neighbours();
      save();
      report(result, neighbours, now_seconds() - start);
    }
    if (const auto bad = loader_.bad_images(); !bad.empty())
      fmt::print("{} images could not be read or are damaged; they are listed in {}\n", bad.size(),
                 (fs::path(o_.out) / "bad_images.tsv").string());
    fmt::print("encoder: {}\n", (fs::path(o_.out) / "encoder.safetensors").string());
    fmt::print("peak memory of the process: {}\n", format_bytes(static_cast<double>(peak_resident_bytes())));
  }

 private:
  double chance_loss() const { return collapse_value(o_.views * o_.batch_size, loss_options(o_)); }

  // The algorithm: draw views, embed them, pull together what belongs together, update.
  EpochResult train_epoch() {
    EpochResult result;
    const double waited_before = loader_.wait_seconds();
    const std::string what = fmt::format("epoch {}/{}", position_.epochs_done + 1, o_.epochs);
    Progress progress(what, steps_per_epoch_, "views");
    loader_.start_epoch(static_cast<std::uint32_t>(position_.epochs_done));
    for (Batch batch; loader_.next(batch);) {
      const double start = now_seconds();
      const std::int64_t side = o_.image_size, rows = o_.views * batch.rows();
      const Tensor bytes = Tensor::from(batch.images, {rows, side, side, 3}, device_);
      const Tensor images =
          normalize_images(bytes, o_.pixel_statistics(), o_.precision);  // [views*batch, h, w, 3]
      optimizer_->set_learning_rate(schedule_.at(position_.steps_done));
      const Tensor loss = contrastive_step(model_, *optimizer_, images, view_labels(batch), loss_options(o_));
      const double value = loss.to_vector<double>()[0];
      if (optimizer_->non_finite() != Optimizer::none) stop_for_non_finite(value);
      ++position_.steps_done;
      result.loss += value / static_cast<double>(steps_per_epoch_);
      result.step_seconds += now_seconds() - start;
      result.wait_seconds = loader_.wait_seconds() - waited_before;
      progress.advance(rows,
                       fmt::format("loss {:.4f}  waiting for data {:.0f} %", value,
                                   100 * result.wait_seconds / (result.wait_seconds + result.step_seconds)));
    }
    ++position_.epochs_done;
    return result;
  }

  // What makes two rows positives of each other: their class, or in SimCLR their image.
  Tensor view_labels(const Batch& batch) const {
    const Shape shape{batch.rows()};
    if (o_.loss == "supcon")
      return repeat_labels(Tensor::from(batch.labels, shape, device_), static_cast<int>(o_.views));
    const std::vector<std::int32_t> indices(batch.indices.begin(), batch.indices.end());
    return simclr_labels(Tensor::from(indices, shape, device_), static_cast<int>(o_.views));
  }

  [[noreturn]] void stop_for_non_finite(double loss) const {
    const std::int64_t in_epoch = position_.steps_done - position_.epochs_done * steps_per_epoch_;
    const std::string parameter = first_non_finite(model_.store);
    fail(
        ExitCode::non_finite,
        "step {} (epoch {}, batch {}): {} not finite; no update was made from it; try a lower --lr or a higher "
        "--temperature",
        position_.steps_done + 1, position_.epochs_done + 1, in_epoch + 1,
        std::isfinite(loss) ? fmt::format("the gradient of {} is", parameter) : "the loss is");
  }

  std::optional<double> nearest_neighbours() const {
    const bool due =
        o_.knn_every > 0 && (position_.epochs_done % o_.knn_every == 0 || position_.epochs_done == o_.epochs);
    if (!evaluation_ || !due) return std::nullopt;
    FeatureOptions options;
    options.device = device_;
    options.precision = o_.precision;
    options.pixels = o_.pixel_statistics();
    options.image_size = static_cast<int>(o_.image_size);
    options.workers = static_cast<int>(o_.workers);
    options.limit = most_neighbour_images;
    options.what = "neighbours";
    const FeatureTable bank = extract_features(model_.encoder, train_, options);
    const FeatureTable queries = extract_features(model_.encoder, *evaluation_, options);
    if (bank.rows() == 0 || queries.rows() == 0) return std::nullopt;
    return nearest_neighbour_accuracy(bank, queries, train_.classes());
  }

  void save() const {
    const fs::path out = o_.out;
    save_encoder(out / "encoder.safetensors", model_.store,
                 {o_.model, o_.stem, o_.image_size, o_.pixel_statistics()}, position_.steps_done);
    save_checkpoint(out / "checkpoint.safetensors", model_.store, *optimizer_, position_);
    write_bad_images(out / "bad_images.tsv", loader_.bad_images());
  }

  void report(const EpochResult& result, std::optional<double> neighbours, double seconds) const {
    const auto views = static_cast<double>(steps_per_epoch_ * o_.views * o_.batch_size);
    const double data_wait = result.wait_seconds / (result.wait_seconds + result.step_seconds);
    append_json_line(fs::path(o_.out) / "metrics.jsonl",
                     {{"epoch", position_.epochs_done},
                      {"loss", result.loss},
                      {"chance_loss", chance_loss()},
                      {"lr", schedule_.at(position_.steps_done - 1)},
                      {"views_per_second", views / seconds},
                      {"step_views_per_second", views / result.step_seconds},
                      {"data_wait", data_wait},
                      {"knn_top1", neighbours ? nlohmann::json(*neighbours) : nlohmann::json()}});
    fmt::print("epoch {}/{}  loss {:.4f} (chance {:.3f})  {}{:.0f} views/s  waiting for data {:.0f} %\n",
               position_.epochs_done, o_.epochs, result.loss, chance_loss(),
               neighbours ? fmt::format("neighbours {:.3f}  ", *neighbours) : "", views / seconds,
               100 * data_wait);
    std::fflush(stdout);
  }

  const PretrainOptions o_;
  const Device device_;
  const Dataset train_;
  const std::optional<Dataset> evaluation_;
  Loader loader_;
  const std::int64_t steps_per_epoch_;
  const Schedule schedule_;
  ContrastiveModel model_;
  std::unique_ptr<Optimizer> optimizer_;
  RunPosition position_;
};

// What the process needs besides the step: itself as it is now, and the batches and images that the loader
// holds.
std::size_t other_memory(const PretrainOptions& o, const Dataset& train) {
  const LoaderOptions loading = training_loader(o);
  const std::size_t batch = static_cast<std::size_t>(o.views * o.batch_size * o.image_size * o.image_size * 3);
  const Decoded sample = train.load(0);
  const std::size_t decoded =
      train.in_memory() ? 0 : sample.image.pixels.size() * static_cast<std::size_t>(train.size());
  const std::size_t batches = static_cast<std::size_t>(loading.prefetch_batches + 2);
  return resident_bytes() + batches * batch + std::min(decoded, loading.cache_bytes);
}

// Before anything is trained: whether anchors will have positives.
std::string describe_positives(const PretrainOptions& o, const Dataset& train) {
  const LoaderOptions loading = training_loader(o);
  const Sampler sampler(train.labels(), train.classes(),
                        {true, loading.sampling, loading.per_class, loading.batch_size, loading.seed});
  return describe(expected_positives(sampler, train.labels(), loading.batch_size, loading.views),
                  loading.views);
}

// A run that goes on must be the run that was started: everything that decides its course is compared.
void check_same_run(const PretrainOptions& options) {
  nlohmann::json before = read_json(fs::path(options.out) / "config.json"), now = options.to_json();
  for (const char* free : {"workers", "device", "data", "knn_every", "recipe", "max_bad", "strict"}) {
    before.erase(free);
    now.erase(free);
  }
  for (const auto& [key, value] : now.items())
    check(before.contains(key) && before[key] == value, ExitCode::usage,
          "--resume: the run in {} has {} = {}, now it is {}; give the same flags, or another --out",
          options.out, key, before.contains(key) ? before[key].dump() : "nothing", value.dump());
}

int pretrain(int argc, char** argv) {
  CLI::App app("Trains an image encoder by supervised contrastive learning (stage one).", "pretrain");
  PretrainFlags flags(app);
  if (const auto done = parse_command_line(app, argc, argv)) return *done;
  const PretrainOptions options = flags.resolve();
  const DeviceChoice device = choose_device(options.device);
  report_device(device, options.precision);

  const Dataset train = *options.data.open(Split::train);
  check(train.size() >= options.batch_size, ExitCode::usage,
        "--batch-size {}: the data set has only {} training images; use a smaller batch", options.batch_size,
        train.size());
  if (options.loss == "supcon") fmt::print("{}", describe_positives(options, train));
  if (options.dry_run) {
    fmt::print("{}", describe(plan_memory(options), other_memory(options, train)));
    return 0;
  }
  const auto evaluation = options.data.open(Split::evaluation);
  if (!evaluation)
    fmt::print("no val or test images in {}: no nearest-neighbour figure; {}\n", options.data.path,
               no_evaluation_advice);

  const auto existing = options.resume      ? ExistingRun::resume
                        : options.overwrite ? ExistingRun::overwrite
                                            : ExistingRun::refuse;
  Run run(options, device.device, train, evaluation);
  const bool found = prepare_run_folder(options.out, existing, run_files);
  const bool goes_on = found && fs::exists(fs::path(options.out) / "checkpoint.safetensors");
  if (goes_on) {
    check_same_run(options);
    run.resume();
  } else {
    write_json(fs::path(options.out) / "config.json", options.to_json());
  }
  run.train();
  return 0;
}

}  // namespace
}  // namespace kindred

int main(int argc, char** argv) {
  return kindred::run_main(argc, argv, kindred::pretrain);
}
