// --config beside flags: what of the file does not go with what was typed.
#include "../../../errors.h"
#include "../../programs.h"
#include "typed_options.h"

#include <kindred/engine/precision.h>

#include <string>

namespace kindred {
namespace {

TEST_CASE("--config: the device of the file is left out where it cannot be meant") {
  const TemporaryFolder folder;
  const std::string file =
      config_in(folder, R"({"data": "set", "model": "resnet20", "device": "cpu", "precision": "f32"})");
  CHECK(pretrain_options("--out run" + file).device == "cpu");
  const PretrainOptions predicted = pretrain_options("--out run --dry-run --gpu h200" + file);
  CHECK(predicted.device == "auto");
  CHECK(name(predicted.precision) == "bf16");
  CHECK(test::error_of([&] { pretrain_options("--out run --dry-run --gpu h200 --device cpu" + file); }) ==
        "--device cpu does not go with --gpu, which predicts for a GPU; leave one of them out");

  // A run of a GPU, where there is none.
  const std::string set = draw_tiny_set(folder);
  const std::string of_gpu = config_in(folder, R"({"model": "resnet20", "image_size": 32, "batch_size": 8,
      "device": "cuda", "precision": "f16"})");
  const auto replayed = run_program("pretrain", set + " --dry-run --out " + (folder / "run").string() + of_gpu);
  CAPTURE(replayed.output);
  CHECK(replayed.code == 0);
  CHECK(says(replayed, "left out of " + (folder / "config.json").string() +
                           ": --device, --precision (no GPU answers here)\n"));
}

TEST_CASE("--config: what only the loss of the file uses is left out with another one") {
  const TemporaryFolder folder;
  const std::string smooth = config_in(
      folder, R"({"data": "set", "loss": "cross_entropy", "loss_options": {"label_smoothing": 0.125}})");
  CHECK(pretrain_options("--out run" + smooth).loss_flags.label_smoothing == 0.125);
  CHECK(pretrain_options("--out run --loss supcon" + smooth).loss_flags.label_smoothing == 0);
  CHECK(test::error_of([&] { pretrain_options("--out run --loss supcon --label-smoothing 0.5" + smooth); }) ==
        "--label-smoothing is not for --loss supcon; leave it out");

  const std::string triplets = config_in(folder, R"({"data": "set", "loss": "triplet",
      "loss_options": {"margin": 0.5, "mining": "batch-hard"}})");
  const PretrainOptions margins = pretrain_options("--out run --loss max_margin" + triplets);
  CHECK(margins.loss_flags.margin == 0.5);  // it uses this one too
  CHECK(margins.loss_flags.mining == "batch-all");

  const std::string queue = config_in(folder, R"({"data": "set", "queue": 4096, "momentum_encoder": 0.5})");
  const PretrainOptions remembers = pretrain_options("--out run --loss simclr" + queue);
  CHECK(remembers.queue == 4096);
  CHECK(remembers.momentum_encoder == 0.5);
  const PretrainOptions forgets = pretrain_options("--out run --loss triplet" + queue);
  CHECK(forgets.queue == 0);
  CHECK(forgets.momentum_encoder == 0);
}

TEST_CASE("--config: the best epoch of the file's weights is not asked of others") {
  const TemporaryFolder folder;
  const std::string file = config_in(folder, R"({"data": "set", "weights": "run", "best": true})");
  const PretrainOptions options = pretrain_options("--out other --weights file.safetensors" + file);
  CHECK(options.weights == "file.safetensors");
  CHECK(!options.best);
}

TEST_CASE("--config: the rates of the file are for its optimizer, if one of the two is adamw") {
  const TemporaryFolder folder;
  const std::string sgd = config_in(folder, R"({"data": "set", "optimizer": "sgd", "lr": 0.5,
      "weight_decay": 0.25, "warmup_start_lr": 0.125})");
  const PretrainOptions adamw = pretrain_options("--out run --optimizer adamw" + sgd);
  CHECK(adamw.lr == 0.001);
  CHECK(adamw.weight_decay == 0.01);
  CHECK(adamw.warmup_start_lr == 0);
  CHECK(pretrain_options("--out run --optimizer adamw --lr 0.75" + sgd).lr == 0.75);
  CHECK(pretrain_options("--out run --optimizer lars" + sgd).lr == 0.5);
  const std::string of_adamw = config_in(folder, R"({"data": "set", "optimizer": "adamw", "lr": 0.0005})");
  CHECK(pretrain_options("--out run" + of_adamw).lr == 0.0005);
  CHECK(pretrain_options("--out run --optimizer sgd" + of_adamw).lr == 0.1);
  // A file that names no optimizer gives its rate to any.
  CHECK(
      pretrain_options("--out run --optimizer adamw" + config_in(folder, R"({"data": "set", "lr": 0.5})")).lr ==
      0.5);
}

TEST_CASE("--config: a share of 0 for evaluation is of the file's data set, and not of another") {
  const TemporaryFolder folder;
  const std::string none = config_in(folder, R"({"data": "set", "val_fraction": 0})");
  CHECK(pretrain_options("--out run" + none).data.val_fraction == 0.0);
  CHECK(pretrain_options("set --out run" + none).data.val_fraction == 0.0);
  CHECK(!pretrain_options("other --out run" + none).data.val_fraction.has_value());
  CHECK(pretrain_options("other --val-fraction 0 --out run" + none).data.val_fraction == 0.0);
  const std::string some = config_in(folder, R"({"data": "set", "val_fraction": 0.25})");
  CHECK(pretrain_options("other --out run" + some).data.val_fraction == 0.25);
  const std::string of_no_set = config_in(folder, R"({"val_fraction": 0})");
  CHECK(pretrain_options("other --out run" + of_no_set).data.val_fraction == 0.0);
}

TEST_CASE("--config: an error about a value of the file names the file") {
  const TemporaryFolder folder;
  const std::string name = (folder / "config.json").string();
  const std::string file = config_in(folder, R"({"data": "set", "views": 1})");
  CHECK(test::error_of([&] { pretrain_options("--out run --loss simclr" + file); }) ==
        "--loss simclr with --views 1: positives are other views of the same image, and there are none; use "
        "--views 2; " +
            name + " gives --views");
  CHECK(test::error_of([&] { pretrain_options("--out run --loss simclr --views 1" + file); }) ==
        "--loss simclr with --views 1: positives are other views of the same image, and there are none; use "
        "--views 2");
  // --limit-per-class is typed, and --limit-eval-per-class is another flag.
  const std::string limits =
      config_in(folder, R"({"data": "set", "limit_per_class": 2, "limit_eval_per_class": 2})");
  CHECK(test::error_of([&] { pretrain_options("--out run --lr -1" + limits); }) ==
        "--lr -1: expected 0 or more");
}

}  // namespace
}  // namespace kindred
