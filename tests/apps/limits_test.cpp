// Programs process some data in pieces, or use only a part of it. Here there is more than one piece or part,
// and the results equal plain loops over all data, or over the promised part.
#include "programs.h"
#include "training/small_options.h"

#include <kindred/apps/evaluation/features.h>
#include <kindred/apps/survey/survey.h>
#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/diagnosis.h>
#include <kindred/engine/files/json_text.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

namespace kindred {
namespace {

// ---- the diagnosis of a batch takes whole images, with at most 1,024 rows in all views together

struct Means {
  double own = 0, other = 0, negative = 0, alignment = 0, uniformity = 0;
};

Means means_of(const std::vector<float>& features, std::size_t dim, const std::vector<std::int64_t>& images,
               const std::vector<std::int32_t>& labels) {
  Means sum;
  double own = 0, other = 0, negative = 0;
  for (std::size_t i = 0; i < images.size(); ++i)
    for (std::size_t j = 0; j < i; ++j) {
      double product = 0, apart = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        const double x = features[i * dim + d], y = features[j * dim + d];
        product += x * y;
        apart += (x - y) * (x - y);
      }
      sum.uniformity += std::exp(-2 * apart);
      if (labels[i] != labels[j]) {
        sum.negative += product;
        ++negative;
        continue;
      }
      sum.alignment += apart;
      (images[i] == images[j] ? sum.own : sum.other) += product;
      ++(images[i] == images[j] ? own : other);
    }
  return {sum.own / own, sum.other / other, sum.negative / negative, sum.alignment / (own + other),
          std::log(sum.uniformity / (own + other + negative))};
}

TEST_CASE("limits: the diagnosis of more than 1,024 rows is that of the first images, in all their views") {
  constexpr std::size_t batch = 400, views = 3, dim = 5, taken = 341;  // 341 * 3 = 1,023
  RandomStream random(71, Purpose::test);
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> images;
  for (std::size_t i = 0; i < batch; ++i) {
    labels.push_back(static_cast<std::int32_t>(random.below(9)));
    images.push_back(static_cast<std::int64_t>(1000 + i));
  }
  std::vector<float> all, chosen;  // [views * batch, dim] of length 1, and the rows that count
  std::vector<std::int64_t> chosen_images;
  std::vector<std::int32_t> chosen_labels;
  for (std::size_t row = 0; row < views * batch; ++row) {
    const std::size_t i = row % batch;
    // Images drift, so images other than the first give other figures.
    std::vector<float> z;
    float length = 0;
    for (std::size_t d = 0; d < dim; ++d) {
      const float of_class = d == static_cast<std::size_t>(labels[i]) % dim ? 1.0f : 0.0f;
      z.push_back(of_class + random.normal() * (0.2f + 0.002f * static_cast<float>(i)));
      length += z.back() * z.back();
    }
    for (const float value : z) all.push_back(value / std::sqrt(length));
    if (i >= taken) continue;
    chosen.insert(chosen.end(), all.end() - dim, all.end());
    chosen_images.push_back(images[i]);
    chosen_labels.push_back(labels[i]);
  }
  LossOptions loss;
  loss.supcon.views = views;
  Diagnosis diagnosis(loss, 9);
  diagnosis.see(labels, images);
  const Tensor features = Tensor::from(all, {views * batch, dim}, Device::cpu);
  const Means expected = means_of(chosen, dim, chosen_images, chosen_labels);
  const nlohmann::json figures = diagnosis.look_at(features);
  const auto close = [](double value) { return doctest::Approx(value).epsilon(1e-5); };
  CHECK(figures.at("rows") == 1023);
  CHECK(figures.at("alignment").get<double>() == close(expected.alignment));
  CHECK(figures.at("uniformity").get<double>() == close(expected.uniformity));
  CHECK(figures.at("similarity_own_views").at("mean").get<double>() == close(expected.own));
  CHECK(figures.at("similarity_other_positives").at("mean").get<double>() == close(expected.other));
  CHECK(figures.at("similarity_negatives").at("mean").get<double>() == close(expected.negative));
  CHECK(figures.at("effective_rank").get<double>() ==
        close(diagnose(chosen, dim, chosen_labels, chosen_images).effective_rank));
  // Two other choices of as many rows, which give other figures.
  std::vector<float> first_rows(all.begin(), all.begin() + 1023 * static_cast<std::ptrdiff_t>(dim));
  std::vector<std::int64_t> row_images;
  std::vector<std::int32_t> row_labels;
  for (std::size_t row = 0; row < 1023; ++row) {
    row_images.push_back(images[row % batch]);
    row_labels.push_back(labels[row % batch]);
  }
  CHECK(means_of(first_rows, dim, row_images, row_labels).alignment !=
        doctest::Approx(expected.alignment).epsilon(1e-3));

  // The loss counts the positives of all anchors.
  std::vector<std::int32_t> counted(views * batch, 7);
  counted.back() = 3;
  const nlohmann::json with_counts =
      diagnosis.look_at(features, Tensor::from(counted, {views * batch}, Device::cpu));
  CHECK(with_counts.at("positives_histogram") == nlohmann::json({{3, 1}, {7, 1199}}));
  CHECK(with_counts.at("positives_min") == 3);
}

// ---- the online probe is measured 4,096 rows at a time

TEST_CASE("limits: an online probe's accuracy on 9,000 rows") {
  constexpr std::int64_t rows = 9000, dim = 4, classes = 7;
  FeatureTable table{dim, {}, {}};
  RandomStream random(73, Purpose::test);
  for (std::int64_t row = 0; row < rows; ++row) {
    table.labels.push_back(static_cast<std::int32_t>(random.below(classes)));
    for (std::int64_t d = 0; d < dim; ++d)  // easier and easier
      table.features.push_back(random.normal() +
                               (d == table.labels.back() % dim ? static_cast<float>(row) / 2000 : 0.0f));
  }
  OnlineProbe probe(dim, classes, 1, Device::cpu, DType::f32);
  probe.optimizer().set_learning_rate(0.1);
  const Tensor features = Tensor::from(table.features, {rows, dim}, Device::cpu);
  const Tensor labels = Tensor::from(table.labels, {rows}, Device::cpu);
  for (int step = 0; step < 20; ++step) probe.step(features, labels);
  std::map<std::string, std::vector<double>> state;
  for (const auto& [name, tensor] : probe.state()) state[name] = tensor.to_vector<double>();
  const auto& weight = state.at("online_probe.fc.weight");
  std::int64_t right = 0, in_first_chunk = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    std::vector<double> logits;
    for (std::size_t c = 0; c < classes; ++c) {
      logits.push_back(state.at("online_probe.fc.bias")[c]);
      for (std::size_t d = 0; d < dim; ++d) {
        const double centred = table.features[static_cast<std::size_t>(row * dim) + d] -
                               state.at("online_probe.norm.running_mean")[d];
        logits.back() +=
            weight[c * dim + d] * (centred / std::sqrt(state.at("online_probe.norm.running_var")[d] + 1e-5) *
                                       state.at("online_probe.norm.weight")[d] +
                                   state.at("online_probe.norm.bias")[d]);
      }
    }
    right += std::max_element(logits.begin(), logits.end()) - logits.begin() ==
             table.labels[static_cast<std::size_t>(row)];
    if (row == 4095) in_first_chunk = right;
  }
  CHECK(probe.accuracy(table) == doctest::Approx(static_cast<double>(right) / rows).epsilon(1e-9));
  CHECK(std::abs(static_cast<double>(right) / rows - static_cast<double>(in_first_chunk) / 4096) > 0.02);
}

// ---- the figures of an epoch use a limited number of images

TEST_CASE("limits: nearest neighbours of more images than are looked at are those of evenly spread ones") {
  const TemporaryFolder folder;
  const std::string path = draw_tiny_set(folder, 7, 12);
  const Dataset train = *open_dataset(path, Split::train), evaluation = *open_dataset(path, Split::evaluation);
  PretrainOptions o = small_options(32, 6);
  o.online_probe = true;
  Learner learner(o, Device::cpu, 7);
  FeatureOptions how;
  how.pixels = cifar10_pixels;
  how.image_size = 32;
  const FeatureTable of_train = extract_features(learner.model().encoder, train, how);
  const FeatureTable of_evaluation = extract_features(learner.model().encoder, evaluation, how);
  REQUIRE(of_train.rows() == 84);
  REQUIRE(of_evaluation.rows() == 21);
  const auto spread = [](const FeatureTable& whole, std::int64_t count) {  // 84 by 5: 0, 16, 33, 50, 67
    FeatureTable some{whole.dim, {}, {}};
    for (std::int64_t i = 0; i < count; ++i) {
      const auto row = static_cast<std::ptrdiff_t>(i * whole.rows() / count);
      some.labels.push_back(whole.labels[static_cast<std::size_t>(row)]);
      some.features.insert(some.features.end(), whole.features.begin() + row * whole.dim,
                           whole.features.begin() + (row + 1) * whole.dim);
    }
    return some;
  };
  std::vector<double> seen;
  for (const std::int64_t limit : {5, 10, 16, 10000}) {
    CAPTURE(limit);
    const FeatureTable bank = spread(of_train, std::min<std::int64_t>(limit, 84));
    const FeatureTable queries = spread(of_evaluation, std::min<std::int64_t>(limit, 21));
    const Accuracies measured = measure_accuracies(learner, o, Device::cpu, train, evaluation, limit);
    CHECK(measured.neighbours.value() == doctest::Approx(nearest_neighbour_accuracy(bank, queries, 7)));
    CHECK(measured.probe.value() == doctest::Approx(learner.online_probe()->accuracy(queries)));
    seen.push_back(measured.neighbours.value());
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::unique(seen.begin(), seen.end()) - seen.begin() >= 3);
}

// ---- features come in batches, a survey in 256 images at a time

TEST_CASE("limits: features of several batches, and a survey of more than 256 images") {
  const TemporaryFolder folder;
  const std::string path = draw_tiny_set(folder, 3, 100);
  const Dataset set = *open_dataset(path, Split::train);
  REQUIRE(set.size() == 300);
  ParameterStore store;
  const ResNet encoder(store, resnet_spec("resnet20"), Stem::cifar);
  store.allocate(Device::cpu, 3);
  FeatureOptions how;
  how.pixels = cifar10_pixels;
  how.image_size = 32;
  how.batch_size = 300;
  const FeatureTable at_once = extract_features(encoder, set, how);
  how.batch_size = 128;  // as in linear_probe: 128, 128 and 44
  const FeatureTable in_batches = extract_features(encoder, set, how);
  REQUIRE(in_batches.rows() == 300);
  CHECK(in_batches.labels == at_once.labels);
  for (std::size_t i = 0; i < at_once.features.size(); ++i)
    REQUIRE(in_batches.features[i] == doctest::Approx(at_once.features[i]).epsilon(1e-4));

  write_bytes(set.name(100), "no picture");
  write_bytes(set.name(290), "no picture either");
  const SplitSurvey found = survey("train", set);
  for (std::int64_t i = 0; i < 300; ++i) {
    CAPTURE(i);
    const SampleFinding& sample = found.samples[static_cast<std::size_t>(i)];
    CHECK(sample.outcome == (i == 100 || i == 290 ? Outcome::rejected : Outcome::ok));
    CHECK(sample.height == (i == 100 || i == 290 ? 0 : 32));
    CHECK(sample.hash != 0);
  }
  const std::vector<OutcomeCounts> classes = found.counts_by_class();
  CHECK(classes[0].rejected == 0);
  CHECK(classes[1].rejected == 1);
  CHECK(classes[2].rejected == 1);
  CHECK(classes[2].ok == 99);
}

// ---- a list on the terminal has ten lines

TEST_CASE("limits: evaluate names the ten hardest of twelve classes, the hardest first") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 10, 8), json = folder / "all.json";
  const std::string copied = open_dataset(set, Split::train)->class_names().front();
  for (const std::string split : {"/train/", "/val/"})  // two more classes, with the pictures of another class
    for (const std::string copy : {"zz", "zzz"})
      std::filesystem::copy(set + split + copied, set + split + copy);
  const std::string probe = folder / "probe";
  REQUIRE(run_program("linear_probe",
                      set + " --device cpu --untrained resnet20 --image-size 32 --epochs 20 --out " + probe)
              .code == 0);
  // The encoder of the probe, as pretrain writes it.
  REQUIRE(run_program("pretrain", set +
                                      " --device cpu --model resnet20 --image-size 32 -b 12 -j 1 --epochs 1 "
                                      "--lr 0 --knn-every 0 --out " +
                                      (folder / "run").string())
              .code == 0);
  const auto result =
      run_program("evaluate", set + " --device cpu --encoder " + (folder / "run/encoder.safetensors").string() +
                                  " --classifier " + probe + "/classifier.safetensors --json " + json);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  std::vector<std::string> lines;
  std::istringstream text(result.output.substr(result.output.find("the classes that are hardest:\n")));
  std::string line;
  std::getline(text, line);
  while (std::getline(text, line) && line.starts_with("  ")) lines.push_back(line);
  REQUIRE(lines.size() == 10);
  const nlohmann::json whole = parse_json(read_bytes(json));
  std::vector<double> accuracies;
  for (std::size_t c = 0; c < 12; ++c) {
    const auto& each = whole.at("classes")[c];
    accuracies.push_back(each.at("top1").get<double>());
    // For each class, from its row of the confusion matrix.
    double images = 0;
    for (const auto& count : whole.at("confusion")[c]) images += count.get<double>();
    CHECK(each.at("images").get<double>() == images);
    CHECK(accuracies.back() == doctest::Approx(whole.at("confusion")[c][c].get<double>() / images));
  }
  std::sort(accuracies.begin(), accuracies.end());
  REQUIRE(accuracies.front() < accuracies.back());
  for (std::size_t i = 0; i < 10; ++i) CHECK(lines[i].starts_with(fmt::format("  {:.4f}  ", accuracies[i])));
}

// ---- a run in which no step succeeds

TEST_CASE("limits: fifty skipped steps in a row end a run that skips steps") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 2, 4);
  const auto result = run_program("pretrain", set + " --out " + (folder / "run").string() +
                                                  " --device cpu --model resnet20 --image-size 8 -b 4 -j 1 "
                                                  "--epochs 30 --knn-every 0 --warmup-epochs 0 --lr 1e30 "
                                                  "--on-nonfinite skip");
  CHECK(result.code == 7);
  CHECK(says(result, "50 steps in a row were skipped"));
  std::size_t skipped = 0;
  for (auto at = result.output.find("the step is skipped"); at != std::string::npos;
       at = result.output.find("the step is skipped", at + 1))
    ++skipped;
  CHECK(skipped == 49);
}

}  // namespace
}  // namespace kindred
