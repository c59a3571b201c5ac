// The predicted time of a step on a GPU. The counts are compared with published counts and with counts made by
// hand from the kernels' machine code. Also tests the output of `pretrain --dry-run --gpu`.
#include "../../programs.h"

#include <kindred/apps/training/dry_run/time_prediction.h>
#include <kindred/engine/files/json_text.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

namespace kindred {
namespace {

PretrainOptions options_for(const std::string& model, int size, std::int64_t batch, Stem stem) {
  PretrainOptions o;
  o.model = model;
  o.stem = stem;
  o.head = HeadKind::mlp;
  o.augment = "cifar";
  o.pixels = "imagenet";
  o.optimizer = OptimizerKind::sgd;
  o.image_size = size;
  o.batch_size = batch;
  o.views = 2;
  o.epochs = 1;
  o.view_groups = {ViewGroup{recipe("cifar", size), size, 2}};
  o.lr = 0.1;
  o.momentum = 0.9;
  o.temperature = 0.1;
  o.precision = Precision{DType::bf16};
  return o;
}

// 256 views, like the counts in docs/performance.md.
PretrainOptions resnet50() {
  return options_for("resnet50", 224, 128, Stem::imagenet);
}

TimePrediction predicted(const PretrainOptions& options, const std::string& gpu = "h200") {
  return predict_time(options, gpu_rates(gpu), 10, 100);
}

// The sum over the kinds whose names begin with `kind`.
KindTime sum_of(const TimePrediction& times, const std::string& kind) {
  KindTime sum{kind, 0, 0, 0, 0, 0};
  for (const KindTime& each : times.kinds) {
    if (each.name != kind && !each.name.starts_with(kind + ".")) continue;
    sum.launches += each.launches;
    sum.read += each.read;
    sum.written += each.written;
    sum.operations += each.operations;
    sum.seconds += each.seconds;
  }
  return sum;
}

double milliseconds(const TimePrediction& times, const std::string& kind) {
  return 1e3 * sum_of(times, kind).seconds;
}

double gigabytes(const TimePrediction& times, const std::string& kind) {
  const KindTime sum = sum_of(times, kind);
  return static_cast<double>(sum.read + sum.written) / 1e9;
}

doctest::Approx within(double percent, double value) {
  return doctest::Approx(value).epsilon(percent / 100).scale(0);  // relative to the value
}

TEST_CASE("predicted: the arithmetic of networks is what is published") {
  // torchvision: 4.09 GMAC an image, including 2.05 million in the classifier, which is not here.
  const TimePrediction times = predicted(resnet50());
  CHECK(sum_of(times, "conv2d.forward").operations / 2 / 256 == within(0.1, 4.089e9 - 2.05e6));
  // Backward is twice that, without the gradient of the images, which is not needed.
  const double stem = sum_of(times, "conv2d.forward.stem").operations;
  CHECK(stem == 2.0 * 256 * 112 * 112 * 64 * 3 * 7 * 7);
  CHECK(sum_of(times, "conv2d.filter").operations == sum_of(times, "conv2d.forward").operations);
  CHECK(sum_of(times, "conv2d.data").operations == sum_of(times, "conv2d.forward").operations - stem);
  CHECK(sum_of(times, "conv2d.forward").launches == 53);
  CHECK(sum_of(times, "conv2d.data").launches == 52);
  // 3.33 GFLOP an image in a step of ResNet-18 at 32 pixels.
  const TimePrediction small = predicted(options_for("resnet18", 32, 64, Stem::cifar));
  const double of_stem = sum_of(small, "conv2d.forward.stem").operations;
  CHECK((sum_of(small, "conv2d").operations + of_stem) / 128 == within(0.2, 3.33e9));
}

TEST_CASE("predicted: bytes are those of docs/performance.md, by kind") {
  const TimePrediction times = predicted(resnet50());
  // Gigabytes of so many numbers an image, 256 images, 2 bytes each; and of a mask, a bit each.
  const auto numbers = [](double an_image) { return an_image * 256 * 2 / 1e9; };
  const auto mask = [](double an_image) { return an_image * 256 / 8 / 1e9; };
  const double results = 11113984, of_shortcuts = 1505280;  // of all convolutions; of the four in shortcuts
  const double of_blocks = 5519360, into_blocks = 5619712;  // what 16 blocks give, and are given
  const double of_pool = 56 * 56 * 64;                      // is given to the first of them
  CHECK(gigabytes(times, "batch_norm.statistics") == within(2.5, numbers(results)));
  CHECK(gigabytes(times, "batch_norm.apply") / 4.3 == within(2, 3.37));
  // The norm at the end of a block reads both gradients of its result and writes their masked sum, which is also the
  // gradient of the shortcut. The last block's result is used once.
  CHECK(gigabytes(times, "batch_norm.reduce") ==
        within(1, numbers(2 * results + into_blocks - of_pool + of_blocks) + mask(results - of_shortcuts)));
  CHECK(gigabytes(times, "batch_norm.backward") ==
        within(1, numbers(3 * results) + mask(results - of_shortcuts - of_blocks)));
  CHECK(gigabytes(times, "add") == within(0.01, numbers(3 * of_pool)));
  // The roofline with batch norm, ReLU and the forward addition fused is 366 MB an image. The fused gradients of
  // shortcuts save 19.
  double all = 0;
  for (const char* kind : {"conv2d.forward", "conv2d.data", "conv2d.filter", "batch_norm", "add", "max_pool2d"})
    all += gigabytes(times, kind);
  CHECK(all * 1e3 / 256 == within(1, 347));
}

TEST_CASE("predicted: a ResNet-50 step on an H200 takes what was counted from the machine code") {
  const TimePrediction times = predicted(resnet50());
  CHECK(milliseconds(times, "conv2d.forward") == within(5, 6.0));
  CHECK(milliseconds(times, "conv2d.data") == within(5, 5.7));
  CHECK(milliseconds(times, "conv2d.filter") == within(5, 7.8));
  CHECK(milliseconds(times, "batch_norm.statistics") == within(5, 2.0));
  CHECK(milliseconds(times, "batch_norm.apply") == within(5, 4.1));
  CHECK(milliseconds(times, "batch_norm.reduce") == within(5, 4.7));
  CHECK(milliseconds(times, "batch_norm.backward") == within(5, 4.5));
  CHECK(milliseconds(times, "add") == within(5, 0.09));
  CHECK(milliseconds(times, "max_pool2d") + milliseconds(times, "global_average_pool") == within(5, 0.36));
  CHECK(1e3 * times.step_seconds() == within(3, 35.7));
  CHECK(times.views_per_second() == within(3, 7170));
}

TEST_CASE("predicted: every launch of a step is counted once") {
  const TimePrediction times = predicted(resnet50());
  const std::vector<std::pair<const char*, int>> expected = {
      {"conv2d.forward", 53},
      {"conv2d.data", 52},
      {"conv2d.filter", 53},
      // In 16 bits: the stem's filters are padded, and all gradients of filters are converted together.
      {"conv2d.repack", 2},
      {"batch_norm.statistics", 53},
      {"batch_norm.apply", 53},
      {"batch_norm.reduce", 53},
      {"batch_norm.backward", 53},
      {"add", 1},  // of the max pool's result, which the first block uses twice
      {"max_pool2d", 2},
      {"global_average_pool", 2},
      {"image_input", 1},
      {"linear", 8},
      {"relu", 1},
      {"l2_normalize", 2},
      // Sums begin, add the parts of rows and of columns, and end; then the mean, and the segments of the
      // gradient.
      {"supcon.forward", 1},
      {"supcon.backward", 1},
      {"supcon.rows", 6},
      {"fill", 1},  // the 1 that backward starts from
      {"copy", 3},  // the learning rate is sent, loss and flag are fetched
      {"optimizer.check", 2},
      {"optimizer.update", 1}};
  std::int64_t launches = 0, counted = 0;
  for (const auto& [kind, count] : expected) {
    CAPTURE(kind);
    CHECK(sum_of(times, kind).launches == count);
    counted += count;
  }
  for (const KindTime& kind : times.kinds) launches += kind.launches;
  CHECK(launches == counted);
  // The optimizer reads value, gradient and velocity, and writes value, velocity and a copy in 16 bits.
  const KindTime update = sum_of(times, "optimizer.update");
  const double parameters = 27966656;
  CHECK(static_cast<double>(update.read) == within(1, 12 * parameters));
  CHECK(static_cast<double>(update.written) == within(1, 10 * parameters));
}

TEST_CASE("predicted: the losses of pairs, by their loops") {
  PretrainOptions o = options_for("resnet20", 32, 1024, Stem::cifar);
  const double n = 2048;
  o.loss = "triplet";
  const TimePrediction all = predicted(o);
  CHECK(sum_of(all, "triplet.terms").operations == 2 * 12 * n * n * n);  // forward, and again for the gradient
  CHECK(sum_of(all, "pairs.distances").operations == 2 * 3 * n * n * 128);
  CHECK(sum_of(all, "pairs.gradient").operations == 6 * n * n * 128);
  // 1,024 rows of distances at a time; their derivatives are copied.
  CHECK(sum_of(all, "triplet.terms").launches == 4);
  CHECK(sum_of(all, "copy").read >= static_cast<std::int64_t>(4 * n * n));
  o.loss_flags.mining = "batch-hard";
  CHECK(sum_of(predicted(o), "triplet.terms").operations == 2 * 2 * 12 * n * n);
  o = options_for("resnet20", 32, 1024, Stem::cifar);
  o.loss = "max_margin";
  CHECK(sum_of(predicted(o), "max_margin.terms").launches == 4);
}

TEST_CASE("predicted: SupCon by the tiles that it multiplies") {
  const auto loss_of_rows = [](std::int64_t rows) {
    PretrainOptions o = options_for("resnet20", 32, rows / 2, Stem::cifar);
    return predicted(o);
  };
  const TimePrediction large = loss_of_rows(65536), small = loss_of_rows(8192);
  // The kernels' instructions, with gaps between them (docs/performance.md).
  CHECK(milliseconds(small, "supcon.forward") >= 0.25);
  CHECK(milliseconds(small, "supcon.forward") <= 0.3);
  CHECK(milliseconds(small, "supcon.backward") >= 0.5);
  CHECK(milliseconds(small, "supcon.backward") <= 0.6);
  CHECK(milliseconds(large, "supcon") >= 47);
  CHECK(milliseconds(large, "supcon") <= 57);
  // 6 N^2 D operations without the symmetric half of the forward product; tiles on the diagonal are computed in
  // full.
  const double n = 65536;
  CHECK(sum_of(large, "supcon").operations == within(1, 5 * n * n * 128));
}

TEST_CASE("predicted: layers, kinds and the step are one sum, and each layer has a place") {
  PretrainOptions o = resnet50();
  o.momentum_encoder = 0.99;
  o.queue = 4096;
  o.online_probe = true;
  o.micro_batch = 32;
  for (const PretrainOptions& options : {resnet50(), o}) {
    const TimePrediction times = predicted(options);
    double layers = 0, kinds = 0;
    for (const LayerTime& layer : times.layers) layers += layer.forward + layer.backward;
    for (const KindTime& kind : times.kinds) kinds += kind.seconds;
    CHECK(layers == within(0.001, times.kernels));
    CHECK(kinds == within(0.001, times.kernels));
    // Every layer that the tape records is in the table, with some time in both directions.
    const MemoryPrediction memory = predict_memory(options, Device::cuda);
    for (const LayerMemory& layer : memory.layers) {
      CAPTURE(layer.name);
      const auto found = std::find_if(times.layers.begin(), times.layers.end(),
                                      [&](const LayerTime& time) { return time.name == layer.name; });
      REQUIRE(found != times.layers.end());
      CHECK(found->forward > 0);
      CHECK((found->backward > 0 || layer.name == "concatenate"));
    }
    std::size_t rows = memory.layers.size();
    CHECK(times.layers.size() > rows);  // the optimizer and other work outside of layers
  }
}

TEST_CASE("predicted: what costs more in a run costs more here") {
  const TimePrediction plain = predicted(resnet50());
  const auto with = [](auto&& change) {
    PretrainOptions o = resnet50();
    change(o);
    return predicted(o);
  };
  // Micro-batches go through the network a second time; with the statistics of the whole batch, several times.
  const TimePrediction micro_batches = with([](PretrainOptions& o) { o.micro_batch = 32; });
  const TimePrediction exact = with([](PretrainOptions& o) {
    o.micro_batch = 32;
    o.batch_norm_scope = BatchNormScope::full;
  });
  CHECK(sum_of(micro_batches, "conv2d.forward").operations == 2 * sum_of(plain, "conv2d.forward").operations);
  CHECK(sum_of(micro_batches, "conv2d.filter").operations == sum_of(plain, "conv2d.filter").operations);
  CHECK(exact.kernels > micro_batches.kernels);
  CHECK(micro_batches.kernels > 1.2 * plain.kernels);
  // The momentum encoder sees the second views, and has no backward pass.
  const TimePrediction keys = with([](PretrainOptions& o) {
    o.momentum_encoder = 0.999;
    o.queue = 8192;
  });
  CHECK(sum_of(keys, "conv2d.forward").operations == sum_of(plain, "conv2d.forward").operations);
  CHECK(sum_of(keys, "conv2d.filter").operations == sum_of(plain, "conv2d.filter").operations / 2);
  CHECK(sum_of(keys, "move_average").launches == 1);
  // A scaled loss has one kernel more; LARS two and the norms.
  const TimePrediction scaled = with([](PretrainOptions& o) { o.precision = Precision{DType::f16}; });
  CHECK(sum_of(scaled, "optimizer").launches == sum_of(plain, "optimizer").launches + 1);
  const TimePrediction lars = with([](PretrainOptions& o) { o.optimizer = OptimizerKind::lars; });
  CHECK(sum_of(lars, "optimizer").launches == sum_of(plain, "optimizer").launches + 2);
  // RMSProp also reads and writes the mean square of each parameter, 4 bytes.
  const TimePrediction rmsprop = with([](PretrainOptions& o) {
    o.optimizer = OptimizerKind::rmsprop;
    o.rmsprop_eps = 1;
  });
  const std::int64_t mean_square =
      sum_of(rmsprop, "optimizer.update").read - sum_of(plain, "optimizer.update").read;
  CHECK(sum_of(rmsprop, "optimizer").launches == sum_of(plain, "optimizer").launches);
  CHECK(mean_square > 4 * 25'000'000);
  CHECK(sum_of(rmsprop, "optimizer.update").written == sum_of(plain, "optimizer.update").written + mean_square);
  // Each precision is slower than the next lower one, and bytes follow its type.
  const TimePrediction tf32 = with([](PretrainOptions& o) { o.precision = Precision{DType::f32, true}; });
  const TimePrediction f32 = with([](PretrainOptions& o) { o.precision = Precision{}; });
  CHECK(sum_of(f32, "batch_norm.statistics").read == sum_of(tf32, "batch_norm.statistics").read);
  CHECK(gigabytes(tf32, "batch_norm.statistics") == within(2, 2 * gigabytes(plain, "batch_norm.statistics")));
  CHECK(plain.kernels < tf32.kernels);
  CHECK(tf32.kernels < f32.kernels);
  // With --on-nonfinite skip each kernel is started from the host.
  const TimePrediction eager = with([](PretrainOptions& o) { o.on_nonfinite = OnNonFinite::skip; });
  CHECK(eager.step_seconds() >= plain.kernels);
  // Data that stays on the GPU is not copied any more, but its views are made there.
  const PretrainOptions small = options_for("resnet18", 32, 256, Stem::cifar);
  const TimePrediction there = predict_time(small, gpu_rates("h200"), 10, 100, {50000, 32, 32, 3});
  CHECK(there.copies < predicted(small).copies / 10);
  CHECK(sum_of(there, "resident_views").launches == 1);
  CHECK(predicted(resnet50(), "h100").kernels > plain.kernels);
  CHECK(predicted(resnet50(), "a100").kernels > predicted(resnet50(), "h100").kernels);
}

// ---- the program

std::vector<std::string> lines_of(const ProgramResult& result) {
  std::vector<std::string> lines;
  std::istringstream text(result.output);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

const std::regex last_line("predicted: [0-9.]+ ms a step, [0-9.]+ views/s, [0-9.]+ h for the run");

TEST_CASE("--dry-run --gpu prints a time for each layer and writes nothing") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), out = " --out " + (folder / "run").string();
  const std::string small = " --batch-size 8 --image-size 32 --model resnet20 --dry-run";
  for (const char* gpu : {"h200", "h100", "a100"}) {
    const auto result = run_program("pretrain", set + out + small + " --gpu " + gpu);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    const auto lines = lines_of(result);
    CHECK(std::regex_match(lines.back(), last_line));
    for (const std::string& line : lines) CHECK(line.size() <= 100);
    for (const char* text : {"layer3.2.conv2", "supcon", "optimizer", "batch_norm.apply", "memory of the GPU",
                             "predicted peak memory of the GPU"})
      CHECK(says(result, text));
    CHECK_FALSE(says(result, "does not fit"));
  }
  for (const char* loss : {"simclr", "triplet", "n_pairs", "max_margin", "cross_entropy",
                           "supcon --denominator one-positive --variant in", "triplet --mining batch-hard",
                           "supcon --queue 64 --momentum-encoder 0.9", "supcon --micro-batch 4",
                           "supcon --micro-batch 4 --batch-norm-scope full --online-probe",
                           "supcon --precision f16", "supcon --precision tf32 --on-nonfinite skip"}) {
    const auto result = run_program("pretrain", set + out + small + " --gpu h200 --loss " + loss);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(std::regex_match(lines_of(result).back(), last_line));
  }
  CHECK(!std::filesystem::exists(folder / "run"));
}

TEST_CASE("--dry-run --gpu: one's own rates, the figures as JSON, and a GPU that is too small") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string command = set + " --out " + (folder / "run").string() +
                              " --batch-size 8 --image-size 32 --model resnet20 --epochs 5 --dry-run --gpu ";
  const std::string file = folder / "mine.json", figures = folder / "figures.json";
  std::ofstream(file) << R"({"gpu": "mine", "memory": {"gib": 0.015}, "launch": {"us": 3}, "call": {"us": 5},
      "recording": {"us": 10}, "host_link": {"gb_per_s": 50}, "bandwidth": {"other": {"tb_per_s": 4}},
      "tflop_per_s": {"other": {"f32": 9, "bf16": 9, "f16": 9}}})";
  const auto result = run_program("pretrain", command + file + " --prediction " + figures);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  CHECK(says(result, "it does not fit the mine: "));
  CHECK(std::regex_match(lines_of(result).back(), last_line));
  const auto json = parse_json(read_bytes(figures));
  CHECK(json.at("gpu") == "mine");
  CHECK(json.at("fits") == false);
  CHECK(json.at("views") == 16);
  CHECK(json.at("steps") == 5 * (24 / 8));
  CHECK(json.at("run_h").get<double>() == within(0.001, 15 * json.at("step_ms").get<double>() / 3.6e6));
  CHECK(json.at("layers").size() > 40);
  double sum = 0;
  for (const auto& kind : json.at("kinds")) sum += kind.at("ms").get<double>();
  CHECK(sum == within(0.001, json.at("kernels_ms").get<double>()));
}

TEST_CASE("--gpu: what cannot be used is said in one line") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string command = set + " --out " + (folder / "run").string() + " --batch-size 8 --image-size 32";
  std::ofstream(folder / "broken.json") << "{";
  const auto expect = [&](const std::string& flags, int code, const std::string& text) {
    const auto result = run_program("pretrain", command + flags);
    CAPTURE(flags);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, text));
  };
  expect(" --gpu h200", 2, "--gpu is for --dry-run");
  expect(" --dry-run --gpu v100", 2, "expected a100, h100, h200, or a file of rates");
  expect(" --dry-run --gpu h200 --device cpu", 2, "does not go with --gpu");
  expect(" --dry-run --prediction x.json", 2, "--prediction is for --dry-run --gpu");
  expect(" --dry-run --gpu h200 --prediction " + set + "/x.json", 2, "--prediction");
  expect(" --dry-run --gpu " + (folder / "none.json").string(), 4, "none.json");
  expect(" --dry-run --gpu " + (folder / "broken.json").string(), 4, "not JSON");
  expect(" --dry-run --gpu " + folder.path.string() + "/run.json", 4, "run.json");
}

}  // namespace
}  // namespace kindred
