// The time that is predicted for a step on a GPU: what is counted, against published counts and against those
// made by hand from the kernels' machine code; and what `pretrain --dry-run --gpu` says.
#include "programs.h"

#include <kindred/apps/training/dry_run/time_plan.h>

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
  o.model = model, o.stem = stem, o.head = HeadKind::mlp;
  o.augment = "cifar", o.pixels = "imagenet", o.optimizer = "sgd";
  o.image_size = size, o.batch_size = batch, o.views = 2, o.epochs = 1;
  o.view_groups = {ViewGroup{recipe("cifar", size), size, 2}};
  o.lr = 0.1, o.momentum = 0.9, o.temperature = 0.1;
  o.precision = Precision{DType::bf16};
  return o;
}

// 256 views, as the counts in docs/performance.md.
PretrainOptions resnet50() {
  return options_for("resnet50", 224, 128, Stem::imagenet);
}

TimePlan planned(const PretrainOptions& options, const std::string& gpu = "h200") {
  return plan_time(options, gpu_rates(gpu), 10, 100);
}

// Of the kinds whose names begin so.
KindTime sum_of(const TimePlan& plan, const std::string& kind) {
  KindTime sum{kind, 0, 0, 0, 0, 0};
  for (const KindTime& each : plan.kinds) {
    if (each.name != kind && !each.name.starts_with(kind + ".")) continue;
    sum.launches += each.launches;
    sum.read += each.read;
    sum.written += each.written;
    sum.operations += each.operations;
    sum.seconds += each.seconds;
  }
  return sum;
}

double milliseconds(const TimePlan& plan, const std::string& kind) {
  return 1e3 * sum_of(plan, kind).seconds;
}

double gigabytes(const TimePlan& plan, const std::string& kind) {
  const KindTime sum = sum_of(plan, kind);
  return static_cast<double>(sum.read + sum.written) / 1e9;
}

doctest::Approx within(double percent, double value) {
  return doctest::Approx(value).epsilon(percent / 100).scale(0);  // of the value alone
}

TEST_CASE("predicted: the arithmetic of networks is what is published") {
  // torchvision: 4.09 GMAC an image, of which the classifier that is not here has 2.05 million.
  const TimePlan plan = planned(resnet50());
  CHECK(sum_of(plan, "conv2d.forward").operations / 2 / 256 == within(0.1, 4.089e9 - 2.05e6));
  // Backward is twice that, but for the gradient of the images, which nobody needs.
  const double stem = sum_of(plan, "conv2d.forward.stem").operations;
  CHECK(stem == 2.0 * 256 * 112 * 112 * 64 * 3 * 7 * 7);
  CHECK(sum_of(plan, "conv2d.filter").operations == sum_of(plan, "conv2d.forward").operations);
  CHECK(sum_of(plan, "conv2d.data").operations == sum_of(plan, "conv2d.forward").operations - stem);
  CHECK(sum_of(plan, "conv2d.forward").launches == 53);
  CHECK(sum_of(plan, "conv2d.data").launches == 52);
  // 3.33 GFLOP an image in a step of ResNet-18 at 32 pixels.
  const TimePlan small = planned(options_for("resnet18", 32, 64, Stem::cifar));
  const double of_stem = sum_of(small, "conv2d.forward.stem").operations;
  CHECK((sum_of(small, "conv2d").operations + of_stem) / 128 == within(0.2, 3.33e9));
}

TEST_CASE("predicted: bytes are those of docs/performance.md, by kind") {
  const TimePlan plan = planned(resnet50());
  // 11,113,984 numbers of convolutions' results an image, 256 images, 2 bytes each.
  const double results = 11113984.0 * 256 * 2 / 1e9;
  CHECK(gigabytes(plan, "batch_norm.statistics") == within(2, results));
  // At 4.3 TB/s: 1.3, 3.4, 2.7 and 4.7 ms.
  CHECK(gigabytes(plan, "batch_norm.apply") / 4.3 == within(2, 3.37));
  CHECK(gigabytes(plan, "batch_norm.reduce") / 4.3 == within(2, 2.73));
  CHECK(gigabytes(plan, "batch_norm.backward") / 4.3 == within(2, 4.70));
  // The roofline counts 366 MB an image with batch norm, ReLU and addition fused. The gradients of the inputs
  // of 16 blocks, 5,619,712 numbers an image, come from two sides and are added apart.
  double all = 0;
  for (const char* kind : {"conv2d.forward", "conv2d.data", "conv2d.filter", "batch_norm", "add", "max_pool2d"})
    all += gigabytes(plan, kind);
  CHECK(all * 1e3 / 256 == within(2, 366));
  CHECK(gigabytes(plan, "add") == within(0.01, 3 * 5619712.0 * 256 * 2 / 1e9));
}

TEST_CASE("predicted: a ResNet-50 step on an H200 takes what was counted from the machine code") {
  const TimePlan plan = planned(resnet50());
  CHECK(milliseconds(plan, "conv2d.forward") == within(5, 6.0));
  CHECK(milliseconds(plan, "conv2d.data") == within(5, 5.7));
  CHECK(milliseconds(plan, "conv2d.filter") == within(5, 7.8));
  CHECK(milliseconds(plan, "batch_norm.statistics") == within(5, 1.9));
  CHECK(milliseconds(plan, "batch_norm.apply") == within(5, 4.1));
  CHECK(milliseconds(plan, "batch_norm.reduce") == within(5, 3.7));
  CHECK(milliseconds(plan, "batch_norm.backward") == within(5, 6.0));
  CHECK(milliseconds(plan, "add") == within(5, 2.4));
  CHECK(milliseconds(plan, "max_pool2d") + milliseconds(plan, "global_average_pool") == within(5, 0.5));
  CHECK(sum_of(plan, "batch_norm.channels").launches == 159);
  CHECK(milliseconds(plan, "batch_norm.channels") == within(10, 0.5));
  CHECK(1e3 * plan.step_seconds() == within(3, 39.4));
  CHECK(plan.views_per_second() == within(3, 6500));
}

TEST_CASE("predicted: every launch of a step is counted once") {
  const TimePlan plan = planned(resnet50());
  const std::vector<std::pair<const char*, int>> expected = {
      {"conv2d.forward", 53},
      {"conv2d.data", 52},
      {"conv2d.filter", 53},
      // In 16 bits: two paddings each of the stem's images, one of its filters; 53
      // conversions of filters' gradients.
      {"conv2d.repack", 56},
      {"batch_norm.statistics", 53},
      {"batch_norm.apply", 53},
      {"batch_norm.reduce", 53},
      {"batch_norm.backward", 53},
      {"batch_norm.channels", 3 * 53},
      {"add", 16},
      {"max_pool2d", 2},
      {"global_average_pool", 2},
      {"image_input", 1},
      {"linear", 8},
      {"relu", 1},
      {"l2_normalize", 2},
      // Sums begin, take the parts of rows and of columns, end; the mean; the segments of the gradient.
      {"supcon.forward", 1},
      {"supcon.backward", 1},
      {"supcon.rows", 6},
      {"fill", 1},  // the 1 that backward starts from
      {"copy", 3},  // the learning rate comes, loss and flag go
      {"optimizer.check", 2},
      {"optimizer.update", 1}};
  std::int64_t launches = 0, counted = 0;
  for (const auto& [kind, count] : expected) {
    CAPTURE(kind);
    CHECK(sum_of(plan, kind).launches == count);
    counted += count;
  }
  for (const KindTime& kind : plan.kinds) launches += kind.launches;
  CHECK(launches == counted);
  // The optimizer reads value, gradient and velocity, and writes the first and last and a copy in 16 bits.
  const KindTime update = sum_of(plan, "optimizer.update");
  const double parameters = 27966656;
  CHECK(static_cast<double>(update.read) == within(1, 12 * parameters));
  CHECK(static_cast<double>(update.written) == within(1, 10 * parameters));
}

TEST_CASE("predicted: the losses of pairs, by their loops") {
  PretrainOptions o = options_for("resnet20", 32, 1024, Stem::cifar);
  const double n = 2048;
  o.loss = "triplet";
  const TimePlan all = planned(o);
  CHECK(sum_of(all, "triplet.terms").operations == 2 * 12 * n * n * n);  // forward, and again for the gradient
  CHECK(sum_of(all, "pairs.distances").operations == 2 * 3 * n * n * 128);
  CHECK(sum_of(all, "pairs.gradient").operations == 6 * n * n * 128);
  // 1,024 rows of distances at a time, whose derivatives are copied.
  CHECK(sum_of(all, "triplet.terms").launches == 4);
  CHECK(sum_of(all, "copy").read >= static_cast<std::int64_t>(4 * n * n));
  o.loss_flags.mining = "batch-hard";
  CHECK(sum_of(planned(o), "triplet.terms").operations == 2 * 2 * 12 * n * n);
  o = options_for("resnet20", 32, 1024, Stem::cifar);
  o.loss = "max_margin";
  CHECK(sum_of(planned(o), "max_margin.terms").launches == 4);
}

TEST_CASE("predicted: SupCon by the tiles that it multiplies") {
  const auto loss_of_rows = [](std::int64_t rows) {
    PretrainOptions o = options_for("resnet20", 32, rows / 2, Stem::cifar);
    return planned(o);
  };
  const TimePlan large = loss_of_rows(65536), small = loss_of_rows(8192);
  // The kernels' instructions, with gaps between them (docs/performance.md).
  CHECK(milliseconds(small, "supcon.forward") >= 0.25);
  CHECK(milliseconds(small, "supcon.forward") <= 0.3);
  CHECK(milliseconds(small, "supcon.backward") >= 0.5);
  CHECK(milliseconds(small, "supcon.backward") <= 0.6);
  CHECK(milliseconds(large, "supcon") >= 47);
  CHECK(milliseconds(large, "supcon") <= 57);
  // 6 N^2 D operations, of which the symmetric half of the forward product is not made; tiles
  // of the diagonal are.
  const double n = 65536;
  CHECK(sum_of(large, "supcon").operations == within(1, 5 * n * n * 128));
}

TEST_CASE("predicted: layers, kinds and the step are one sum, and each layer has a place") {
  PretrainOptions o = resnet50();
  o.momentum_encoder = 0.99, o.queue = 4096, o.online_probe = true, o.micro_batch = 32;
  for (const PretrainOptions& options : {resnet50(), o}) {
    const TimePlan plan = planned(options);
    double layers = 0, kinds = 0;
    for (const LayerTime& layer : plan.layers) layers += layer.forward + layer.backward;
    for (const KindTime& kind : plan.kinds) kinds += kind.seconds;
    CHECK(layers == within(0.001, plan.kernels));
    CHECK(kinds == within(0.001, plan.kernels));
    // What the tape knows of is in the table, each with some time in both directions.
    const MemoryPlan memory = plan_memory(options, Device::cuda);
    for (const LayerPlan& layer : memory.layers) {
      CAPTURE(layer.name);
      const auto found = std::find_if(plan.layers.begin(), plan.layers.end(),
                                      [&](const LayerTime& time) { return time.name == layer.name; });
      REQUIRE(found != plan.layers.end());
      CHECK(found->forward > 0);
      CHECK((found->backward > 0 || layer.name == "concatenate"));
    }
    std::size_t rows = memory.layers.size();
    CHECK(plan.layers.size() > rows);  // the optimizer and the like
  }
}

TEST_CASE("predicted: what costs more in a run costs more here") {
  const TimePlan plain = planned(resnet50());
  const auto with = [](auto&& change) {
    PretrainOptions o = resnet50();
    change(o);
    return planned(o);
  };
  // Pieces go through the network once more; with the statistics of the whole batch, several times.
  const TimePlan pieces = with([](PretrainOptions& o) { o.micro_batch = 32; });
  const TimePlan exact = with([](PretrainOptions& o) {
    o.micro_batch = 32;
    o.batch_norm_scope = BatchNormScope::full;
  });
  CHECK(sum_of(pieces, "conv2d.forward").operations == 2 * sum_of(plain, "conv2d.forward").operations);
  CHECK(sum_of(pieces, "conv2d.filter").operations == sum_of(plain, "conv2d.filter").operations);
  CHECK(exact.kernels > pieces.kernels);
  CHECK(pieces.kernels > 1.2 * plain.kernels);
  // The momentum encoder sees the second views, and nothing goes back through it.
  const TimePlan keys = with([](PretrainOptions& o) { o.momentum_encoder = 0.999, o.queue = 8192; });
  CHECK(sum_of(keys, "conv2d.forward").operations == sum_of(plain, "conv2d.forward").operations);
  CHECK(sum_of(keys, "conv2d.filter").operations == sum_of(plain, "conv2d.filter").operations / 2);
  CHECK(sum_of(keys, "move_average").launches == 1);
  // A scaled loss has one kernel more; LARS two and the norms.
  const TimePlan scaled = with([](PretrainOptions& o) { o.precision = Precision{DType::f16}; });
  CHECK(sum_of(scaled, "optimizer").launches == sum_of(plain, "optimizer").launches + 1);
  const TimePlan lars = with([](PretrainOptions& o) { o.optimizer = "lars"; });
  CHECK(sum_of(lars, "optimizer").launches == sum_of(plain, "optimizer").launches + 2);
  // RMSProp reads and writes a mean square of each parameter beside the rest, 4 bytes.
  const TimePlan rmsprop = with([](PretrainOptions& o) { o.optimizer = "rmsprop", o.rmsprop_eps = 1; });
  const std::int64_t mean_square =
      sum_of(rmsprop, "optimizer.update").read - sum_of(plain, "optimizer.update").read;
  CHECK(sum_of(rmsprop, "optimizer").launches == sum_of(plain, "optimizer").launches);
  CHECK(mean_square > 4 * 25'000'000);
  CHECK(sum_of(rmsprop, "optimizer.update").written == sum_of(plain, "optimizer.update").written + mean_square);
  // Each precision is slower than the one below it, and bytes are of its type.
  const TimePlan tf32 = with([](PretrainOptions& o) { o.precision = Precision{DType::f32, true}; });
  const TimePlan f32 = with([](PretrainOptions& o) { o.precision = Precision{}; });
  CHECK(sum_of(f32, "batch_norm.statistics").read == sum_of(tf32, "batch_norm.statistics").read);
  CHECK(gigabytes(tf32, "batch_norm.statistics") == within(2, 2 * gigabytes(plain, "batch_norm.statistics")));
  CHECK(plain.kernels < tf32.kernels);
  CHECK(tf32.kernels < f32.kernels);
  // Who skips steps that are not finite starts each kernel from the host.
  const TimePlan eager = with([](PretrainOptions& o) { o.skip_nonfinite = true; });
  CHECK(eager.step_seconds() >= plain.kernels);
  // Data that stays on the GPU travels no more, but is made into views there.
  const PretrainOptions small = options_for("resnet18", 32, 256, Stem::cifar);
  const TimePlan there = plan_time(small, gpu_rates("h200"), 10, 100, {50000, 32, 32, 3});
  CHECK(there.copies < planned(small).copies / 10);
  CHECK(sum_of(there, "resident_views").launches == 1);
  CHECK(planned(resnet50(), "h100").kernels > plain.kernels);
  CHECK(planned(resnet50(), "a100").kernels > planned(resnet50(), "h100").kernels);
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
  std::ifstream stream(figures);
  const auto json = nlohmann::json::parse(stream);
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
