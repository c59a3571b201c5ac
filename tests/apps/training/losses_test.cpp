// pretrain with every loss and its flags, the figures of the features, and the warnings.
#include "../programs.h"

#include <kindred/apps/console/messages/figure_text.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/apps/training/loss.h>
#include <kindred/apps/training/options/loss_flags.h>
#include <kindred/data/loading/loader.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/losses/supcon/supcon.h>

#include "../../engine/temporary_folder.h"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

namespace kindred {
namespace {

constexpr const char* twelve_images = " --model resnet20 --image-size 16 -b 12 --epochs 1 --augment cifar ";

TEST_CASE("pretrain takes every loss") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  for (const std::string flags :
       {"--variant in --denominator one-positive --positives-cap 3",
        "--denominator only-negatives --contrast one --views 3", "--loss nt_xent",
        "--loss triplet --mining semi-hard --margin 0.5", "--loss triplet --triplets chosen",
        "--loss n_pairs --temperature 0.3", "--loss max_margin", "--loss cross_entropy --label-smoothing 0.1",
        "--loss cross_entropy --precision bf16 --views 1"}) {
    CAPTURE(flags);
    const auto result =
        run_program("pretrain", set + " --overwrite --knn-every 0 --out " + run + twelve_images + flags);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    const auto line = json_lines(std::filesystem::path(run) / "metrics.jsonl").at(0);
    CHECK(std::isfinite(line.at("loss").get<double>()));
    const bool classifies = flags.find("cross_entropy") != std::string::npos;
    CHECK(line.at("features").is_null() == classifies);
    if (!classifies) {
      CHECK(line.at("features").at("effective_rank").get<double>() >= 1);
      CHECK(line.at("features").at("positives_mean").get<double>() >= 0);
    }
    CHECK(run_program("pretrain", set + " --dry-run --out " + (folder / "dry").string() + twelve_images + flags)
              .code == 0);
  }
  // The encoder of the one-stage baseline is like any other.
  CHECK(run_program("linear_probe",
                    set + " --encoder " + run + "/encoder.safetensors --out " + run + "/probe --epochs 1 -b 8")
            .code == 0);
}

TEST_CASE("flags that do not fit the loss are refused") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const auto refused = [&](const std::string& flags, const std::string& what) {
    CAPTURE(flags);
    const auto result =
        run_program("pretrain", set + " --out " + (folder / "run").string() + twelve_images + flags);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(result.output.find(what) != std::string::npos);
  };
  refused("--loss contrast", "--loss");
  refused("--variant between", "--variant");
  refused("--denominator none", "--denominator");
  refused("--positives-cap -1", "--positives-cap");
  refused("--loss triplet --margin -0.1", "--margin");
  refused("--loss triplet --mining hard", "--mining");
  refused("--loss triplet --temperature 0.1", "--temperature is not for --loss triplet");
  refused("--loss n_pairs --base-temperature 1", "--base-temperature is not for --loss n_pairs");
  refused("--loss cross_entropy --head none", "--head is not for --loss cross_entropy");
  refused("--margin 0.3", "--margin");
  refused("--loss triplet --variant in", "--variant");
  refused("--loss cross_entropy --label-smoothing 1", "--label-smoothing");
  refused("--label-smoothing 0.1", "--label-smoothing");
  refused("--loss nt_xent --views 1", "positives are other views of the same image");
  refused("--loss n_pairs --views 3", "--views");
}

LossOptions options_of(const std::string& loss, const LossFlags& flags = {}, std::int64_t views = 2) {
  return flags.resolve(loss, 0.1, 0, views);
}

TEST_CASE("what a collapsed encoder would show, for every loss") {
  // A batch of four images of each of three classes, two views: 24 rows. Of the 11 other images 3 are of the
  // anchor's class.
  const double same_class = 3.0 / 11;
  const auto value = [&](const std::string& loss, const LossFlags& flags = {}) {
    return collapse_loss(options_of(loss, flags), 12, 3, same_class);
  };
  LossFlags flags;
  CHECK(value("supcon") == doctest::Approx(std::log(23)));
  CHECK(value("simclr") == doctest::Approx(std::log(23)));
  flags.denominator = "only-negatives";
  CHECK(value("supcon", flags) == doctest::Approx(std::log(16)));
  flags.denominator = "one-positive";
  CHECK(value("supcon", flags) == doctest::Approx(std::log(17)));
  flags.denominator = "all";
  flags.positives_cap = 3;
  CHECK(value("supcon", flags) == doctest::Approx(std::log(19)));
  CHECK(value("n_pairs") == doctest::Approx(std::log(9)));
  CHECK(value("triplet") == doctest::Approx(0.2));
  CHECK(value("max_margin") == doctest::Approx(16.0 / 23 / 2));
  CHECK(value("cross_entropy") == doctest::Approx(std::log(3)));
  CHECK(same_class_share({0, 0, 1, 1}, 2) == doctest::Approx(0.5));
  // The same from the losses themselves, on equal features.
  std::vector<std::int32_t> labels;
  for (int row = 0; row < 24; ++row) labels.push_back(row % 12 / 4);
  const Tensor alike = Tensor::full({24, 4}, 0.5, DType::f32, Device::cpu);
  const Tensor on_cpu = Tensor::from(labels, {24}, Device::cpu);
  for (const char* loss : {"supcon", "triplet", "n_pairs", "max_margin"})
    CHECK(loss_of(alike, on_cpu, options_of(loss)).to_vector<double>()[0] ==
          doctest::Approx(value(loss)).epsilon(1e-5));
}

// The warnings for a run with these batches and features.
std::vector<std::string> warnings_of(
    const LossOptions& loss, int batches, bool repeated,
    const std::function<std::vector<float>(int image, int label, int view)>& feature, int classes = 3) {
  Diagnosis diagnosis(loss, classes);
  Batch batch;
  for (int step = 0; step < batches; ++step) {
    batch.indices.clear();
    batch.labels.clear();
    for (int i = 0; i < 60; ++i) {
      batch.indices.push_back((repeated ? 0 : 60 * step) + i);
      batch.labels.push_back(i % classes);
    }
    diagnosis.see(batch.labels, batch.indices);
  }
  std::vector<float> rows;
  for (int view = 0; view < 2; ++view)
    for (int i = 0; i < 60; ++i) {
      const std::vector<float> row = feature(i, i % classes, view);
      rows.insert(rows.end(), row.begin(), row.end());
    }
  const auto dim = static_cast<std::int64_t>(rows.size() / 120);
  const Tensor features = Tensor::from(rows, {120, dim}, Device::cpu);
  // The loss's own count has priority over a count from the rows alone.
  const Tensor counted = Tensor::from(std::vector<std::int32_t>{0, 9, 9, 4}, {4}, Device::cpu);
  const nlohmann::json told = diagnosis.look_at(features, counted);
  CHECK(told["positives_mean"] == 5.5);
  CHECK(told["anchors_without_positives"] == 1);
  const nlohmann::json figures = diagnosis.look_at(features);
  CHECK(figures.at("rows") == 120);
  diagnosis.finish_epoch(5, 1, 2);
  CHECK(diagnosis.line().find("rank") != std::string::npos);
  return diagnosis.warnings();
}

TEST_CASE("figures that are not finite: none, and no advice on a temperature that the loss does not have") {
  CHECK(figure_text(std::nan(""), 2) == "none");
  CHECK(figure_text(0.25, 2) == "0.25");
  CHECK(advice_on_non_finite(options_of("cross_entropy")) == "try a lower --lr");
  CHECK(advice_on_non_finite(options_of("supcon")) == "try a lower --lr or a higher --temperature");
  Diagnosis diagnosis(options_of("supcon"), 2);
  diagnosis.see({0, 1}, {0, 1});
  const std::vector<float> rows(8, std::nanf(""));
  static_cast<void>(diagnosis.look_at(Tensor::from(rows, {4, 2}, Device::cpu)));
  diagnosis.finish_epoch(1, 1, 2);
  CHECK(diagnosis.line().find("nan") == std::string::npos);
  CHECK(diagnosis.line().starts_with("alignment none  uniformity none  rank none  "));
  CHECK(diagnosis.line().ends_with("similarity of positives none, negatives none"));
  CHECK(diagnosis.warnings().empty());  // it is not known that they are equal
}

std::vector<float> axis(int which, int of) {
  std::vector<float> row(static_cast<std::size_t>(of), 0.0f);
  row[static_cast<std::size_t>(which)] = 1;
  return row;
}

TEST_CASE("warnings: a healthy run is left alone, the others are told what to try") {
  const LossOptions supcon = options_of("supcon"), simclr = options_of("simclr");
  const auto by_class = [](int, int label, int) { return axis(label, 3); };
  const auto by_image = [](int image, int, int) { return axis(image, 60); };
  const auto alike = [](int, int, int) { return axis(0, 3); };
  CHECK(warnings_of(supcon, 4, false, by_class).empty());
  CHECK(warnings_of(simclr, 4, false, by_image).empty());
  const auto says = [](const std::vector<std::string>& warnings, const char* what) {
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find(what) != std::string::npos);
    CHECK(warnings[0].find('\n') == std::string::npos);
  };
  says(warnings_of(supcon, 4, false, alike), "collapsed; try a lower --lr or more --warmup-epochs");  // at 0.1
  LossOptions warm = supcon;
  warm.supcon.temperature = 0.5f;
  says(warnings_of(warm, 4, false, alike), "more --warmup-epochs, or a --temperature of 0.1");
  says(warnings_of(supcon, 4, false, by_image), "shuffled");
  says(warnings_of(supcon, 4, true, by_class), "same images");
  const auto two_classes = [](int image, int, int) { return axis(image % 2, 2); };
  CHECK(warnings_of(options_of("triplet"), 4, false, two_classes, 2).empty());
  CHECK(warnings_at_start(supcon, {0, 1, 2}, false).empty());
  says(warnings_at_start(supcon, {1, 1, 1}, false), "same label");
  CHECK(warnings_at_start(simclr, {1, 1, 1}, false).empty());
  LossOptions cold = supcon;
  cold.supcon.temperature = 0.005f;
  says(warnings_at_start(cold, {0, 1}, false), "--temperature");
}

TEST_CASE("warnings: features that are nearly equal are no collapse while a run warms up and is above chance") {
  const auto warnings = [](bool learns_in_warm_up) {
    Diagnosis diagnosis(options_of("supcon"), 2);
    diagnosis.see({0, 1}, {0, 1});
    diagnosis.look_at(Tensor::full({4, 3}, 0.5, DType::f32, Device::cpu));
    diagnosis.finish_epoch(1, 1, 2, learns_in_warm_up);
    return diagnosis.warnings().size();
  };
  CHECK(warnings(true) == 0);
  CHECK(warnings(false) == 1);
}

TEST_CASE("warnings: nearly equal outputs of the head of a frozen encoder are not called a collapse") {
  const auto warning = [](const Tensor& features) {
    Diagnosis diagnosis(options_of("supcon"), 2, false);
    diagnosis.see({0, 1}, {0, 1});
    diagnosis.look_at(features);
    diagnosis.finish_epoch(1, 1, 2);
    REQUIRE(diagnosis.warnings().size() == 1);
    return diagnosis.warnings()[0];
  };
  const std::string equal = warning(Tensor::full({4, 3}, std::sqrt(1.0 / 3), DType::f32, Device::cpu));
  CAPTURE(equal);
  CHECK(equal.starts_with("the outputs of the head are nearly equal (uniformity "));
  CHECK(equal.ends_with("; the encoder is frozen, and its features stay as they were"));
  // Four rows on one line, two at each end.
  const std::vector<float> rows{1, 0, 0, -1, 0, 0, 1, 0, 0, -1, 0, 0};
  const std::string line = warning(Tensor::from(rows, {4, 3}, Device::cpu));
  CHECK(line.starts_with("the outputs of the head use "));
  CHECK(line.find("collaps") == std::string::npos);
}

TEST_CASE("warnings: an image that stands in for unreadable ones is no repeated image") {
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> drawn, shown;
  for (int i = 0; i < 30; ++i) {
    labels.push_back(i % 3);
    drawn.push_back(i);
    shown.push_back(i < 9 ? 9 + i % 3 : i);  // the first nine cannot be read
  }
  Diagnosis diagnosis(options_of("supcon"), 3);
  diagnosis.see(labels, shown, drawn);
  diagnosis.finish_epoch(1, 1, 2);
  CHECK(diagnosis.warnings().empty());
  diagnosis.see(labels, shown);
  diagnosis.finish_epoch(2, 1, 2);
  REQUIRE(diagnosis.warnings().size() == 1);
  CHECK(diagnosis.warnings()[0].starts_with("30 % of the images occur more than once in their batch"));
}

}  // namespace
}  // namespace kindred
