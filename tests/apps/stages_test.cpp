// Both stages end to end, as a user runs them.
#include "programs.h"

#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

namespace kindred {
namespace {

const std::string any_epochs = " --model resnet20 --image-size 32 -b 8 -j 1 ";

TEST_CASE("both stages run and write what they promise") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::size_t before = folder_fingerprint(set);
  const auto pretrained = run_program("pretrain", set + " --out " + run + any_epochs + "--epochs 2 --views 3");
  CAPTURE(pretrained.output);
  REQUIRE(pretrained.code == 0);
  CHECK(pretrained.output.starts_with("device "));

  const auto config = json_file(folder / "run/config.json");
  CHECK(config.at("model") == "resnet20");
  CHECK(config.at("views") == 3);
  CHECK(config.at("stem") == "cifar");
  const auto metrics = json_lines(folder / "run/metrics.jsonl");
  REQUIRE(metrics.size() == 2);
  for (const char* key : {"epoch", "loss", "chance_loss", "lr", "views_per_second", "step_views_per_second",
                          "data_wait", "knn_top1"})
    CHECK(metrics[1].contains(key));
  CHECK(metrics[1].at("chance_loss").get<double>() == doctest::Approx(std::log(3 * 8 - 1)));
  CHECK(metrics[1].at("knn_top1").get<double>() >= 0);
  CHECK(metrics[1].at("knn_top1").get<double>() <= 1);
  CHECK(std::filesystem::exists(folder / "run/checkpoint.safetensors"));

  const auto probed = run_program("linear_probe", set + " --encoder " + run + "/encoder.safetensors --out " +
                                                      run + "/probe --epochs 3 -b 8");
  CAPTURE(probed.output);
  REQUIRE(probed.code == 0);
  const auto result = json_file(folder / "run/probe/result.json");
  CHECK(result.at("images") == 6);
  CHECK(result.at("classes") == 3);
  CHECK(result.at("top1").get<double>() <= result.at("top5").get<double>());
  CHECK(result.at("top5").get<double>() == 1);  // three classes only
  CHECK(std::filesystem::exists(folder / "run/probe/classifier.safetensors"));
  CHECK(folder_fingerprint(set) == before);

  CHECK(run_program("linear_probe", set + " --encoder " + run + "/encoder.safetensors --out " + run +
                                        "/augmented --epochs 1 -b 8 --augment probe")
            .code == 0);
  CHECK(run_program("linear_probe",
                    set + " --untrained resnet20 --image-size 32 --out " + run + "/untrained --epochs 1 -b 8")
            .code == 0);
}

TEST_CASE("bf16 on a processor that cannot multiply it: f32 in its place, and a line says so") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const auto result =
      run_program_with("DNNL_MAX_CPU_ISA=AVX2", "pretrain",
                       set + " --out " + run + any_epochs + "--device cpu --epochs 1 --precision bf16");
  CHECK(result.code == 0);
  CHECK(says(result, "note: this processor cannot multiply bf16: computing in f32\n"));
  CHECK(json_file(folder / "run/config.json").at("precision") == "f32");
}

TEST_CASE("SimCLR, LARS, one view and bf16 run") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const std::string flags : {"--loss simclr", "--optimizer lars --head linear",
                                  "--views 1 --augment simaugment", "--precision bf16"}) {
    CAPTURE(flags);
    const auto result = run_program("pretrain", set + " --overwrite --out " + (folder / "run").string() +
                                                    any_epochs + "--epochs 1 " + flags);
    CAPTURE(result.output);
    CHECK(result.code == 0);
  }
}

TEST_CASE("the number of workers does not change the result; the reference device runs") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  std::string first;
  for (const char* workers : {"0", "1", "5"}) {
    const std::string run = folder / ("run" + std::string(workers));
    REQUIRE(run_program("pretrain", set + " --out " + run +
                                        " --model resnet20 --image-size 32 -b 8 --epochs 1 -j " + workers)
                .code == 0);
    const std::string bytes = read_bytes(run + "/encoder.safetensors");
    if (first.empty()) first = bytes;
    CHECK(bytes == first);
  }
  CHECK(run_program("pretrain",
                    set + " --out " + (folder / "plain").string() +
                        " --model resnet20 --image-size 8 --stem cifar -b 8 --epochs 1 --device reference")
            .code == 0);
}

TEST_CASE("a run that was killed resumes to the same bytes") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", cut = folder / "cut";
  const std::string flags = any_epochs + "--epochs 30 --seed 3";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  run_until_checkpoint(set, cut, flags);
  const auto done = json_lines(cut + "/metrics.jsonl").size();
  CHECK(done >= 1);
  CHECK(done < 30);  // it was killed before its end
  const auto resumed = run_program("pretrain", set + " --out " + cut + flags + " --resume");
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(read_bytes(cut + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
  // Another --resume finds nothing left to do; another learning rate is refused.
  CHECK(run_program("pretrain", set + " --out " + cut + flags + " --resume").code == 0);
  const auto changed = run_program("pretrain", set + " --out " + cut + flags + " --resume --lr 0.5");
  CHECK(changed.code == 2);
  CHECK(is_one_line_error(changed));
}

TEST_CASE("RMSProp: config.json names its constants, it resumes, and other optimizers refuse its flags") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", cut = folder / "cut";
  const std::string flags =
      any_epochs + "--epochs 8 --checkpoint-every 1 --optimizer rmsprop --rmsprop-eps 0.5 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  const auto config = json_file(whole + "/config.json");
  CHECK(config.at("optimizer") == "rmsprop");
  CHECK(config.at("rmsprop_rho") == 0.9);
  CHECK(config.at("rmsprop_eps") == 0.5);
  run_until_checkpoint(set, cut, flags);
  CHECK(Checkpoint(cut + "/checkpoint.safetensors").run().epochs_done < 8);
  const std::string resume = set + " --out " + cut + flags + "--resume ";
  const auto changed = run_program("pretrain", resume + "--rmsprop-rho 0.8");
  CHECK(changed.code == 2);
  CHECK(is_one_line_error(changed));
  CHECK(says(changed, "rmsprop_rho was 0.9, now 0.8"));
  CHECK(run_program("pretrain", resume).code == 0);
  CHECK(read_bytes(cut + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));

  // The mean square is as large as the momentum.
  const auto memory = [&](const std::string& optimizer) {
    const auto predicted = run_program("pretrain", set + " --dry-run --out " + (folder / "none").string() +
                                                       any_epochs + "--optimizer " + optimizer);
    const std::string line = "parameters, gradients and optimizer state";
    REQUIRE(says(predicted, line));
    return std::stod(predicted.output.substr(predicted.output.find(line) + line.size()));
  };
  CHECK(memory("rmsprop") == doctest::Approx(memory("sgd") * 4 / 3).epsilon(0.02));

  const std::string none = set + " --out " + (folder / "none").string() + any_epochs;
  for (const std::string wrong :
       {"--rmsprop-eps 0.1", "--optimizer lars --rmsprop-rho 0.8", "--optimizer rmsprop --rmsprop-rho 1",
        "--optimizer rmsprop --rmsprop-eps 0", "--optimizer rmsprob"}) {
    CAPTURE(wrong);
    const auto refused = run_program("pretrain", none + wrong);
    CHECK(refused.code == 2);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, "rmsprop"));
  }
}

TEST_CASE("AdamW: config.json names its constants, it resumes, and other optimizers refuse its flag") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", cut = folder / "cut";
  const std::string flags = any_epochs + "--epochs 8 --checkpoint-every 1 --optimizer adamw --beta2 0.99 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  const auto config = json_file(whole + "/config.json");
  CHECK(config.at("optimizer") == "adamw");
  CHECK(config.at("lr") == 0.001);
  CHECK(config.at("momentum") == 0.9);
  CHECK(config.at("beta2") == 0.99);
  CHECK(config.at("weight_decay") == 0.01);
  CHECK(!config.contains("rmsprop_rho"));
  run_until_checkpoint(set, cut, flags);
  CHECK(Checkpoint(cut + "/checkpoint.safetensors").run().epochs_done < 8);
  const std::string resume = set + " --out " + cut + flags + "--resume ";
  const auto changed = run_program("pretrain", resume + "--beta2 0.9");
  CHECK(changed.code == 2);
  CHECK(says(changed, "beta2 was 0.99, now 0.9"));
  CHECK(run_program("pretrain", resume).code == 0);
  CHECK(read_bytes(cut + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));

  const auto refused =
      run_program("pretrain", set + " --out " + (folder / "none").string() + any_epochs + "--beta2 0.9");
  CHECK(refused.code == 2);
  CHECK(refused.output == "pretrain: error: --beta2 is for --optimizer adamw, not for sgd; leave it out\n");
}

TEST_CASE("multi-crop from a file of recipes: it trains, is recorded, and is compared on --resume") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", file = folder / "crops.json";
  std::ofstream(file) << R"({"views": [{"recipe": "autoaugment", "count": 2},
      {"recipe": {"crop": {"area": [0.05, 0.3]}, "flip": 0.5}, "size": 16, "count": 3}]})";
  const std::string command = set + " --out " + run + any_epochs + "--epochs 1 --augment " + file;
  const auto predicted = run_program("pretrain", command + " --dry-run");
  CAPTURE(predicted.output);
  CHECK(predicted.code == 0);
  CHECK(predicted.output.find("concatenate") != std::string::npos);
  CHECK(predicted.output.find("[40, 128]") != std::string::npos);  // 5 views of 8 images
  const auto result = run_program("pretrain", command);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  const auto config = json_file(folder / "run/config.json");
  CHECK(config.at("views") == 5);
  CHECK(config.at("augmentation").at("views").at(1).at("size") == 16);
  CHECK(config.at("augmentation").at("views").at(0).at("recipe").at("name") == "autoaugment");
  CHECK(json_lines(folder / "run/metrics.jsonl").at(0).at("chance_loss").get<double>() ==
        doctest::Approx(std::log(5 * 8 - 1)));
  CHECK(run_program("pretrain", command + " --resume").code == 0);
  std::ofstream(file) << R"({"views": [{"recipe": "cifar", "count": 5}]})";
  const auto changed = run_program("pretrain", command + " --resume");
  CHECK(changed.code == 2);
  CHECK(changed.output.find("augmentation") != std::string::npos);
  const auto other_views = run_program("pretrain", command + " --resume --views 3");
  CHECK(other_views.code == 2);
  CHECK(other_views.output.find("--views 3") != std::string::npos);
  CHECK(is_one_line_error(other_views));
  std::ofstream(file) << R"({"views": 3})";
  const auto broken = run_program("pretrain", command + " --resume");
  CHECK(broken.code == 4);
  CHECK(is_one_line_error(broken));
}

TEST_CASE("--dry-run prints the prediction and writes nothing") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const auto result =
      run_program("pretrain", set + " --out " + (folder / "run").string() + any_epochs + "--dry-run");
  CHECK(result.code == 0);
  CHECK(result.output.find("layer3.2.conv2") != std::string::npos);
  CHECK(result.output.find("peak") != std::string::npos);
  CHECK(!std::filesystem::exists(folder / "run"));
}

TEST_CASE("explain_loss prints the mask of the introductory example") {
  const auto result = run_program("explain_loss", "--labels 3 0 2 3");
  REQUIRE(result.code == 0);
  std::vector<std::string> digits;
  std::istringstream text(result.output);
  for (std::string line; std::getline(text, line);) {
    std::string tail;
    for (auto c = line.rbegin(); c != line.rend() && (*c == '0' || *c == '1' || *c == ' '); ++c)
      if (*c != ' ') tail.insert(tail.begin(), *c);
    if (tail.size() == 8) digits.push_back(tail);
  }
  const std::vector<std::string> mask = {"00011001", "00000100", "00000010", "10001001",
                                         "10010001", "01000000", "00100000", "10011000"};
  const auto found = std::search(digits.begin(), digits.end(), mask.begin(), mask.end());
  CHECK(found != digits.end());
  CHECK(run_program("explain_loss", "--self-supervised --views 3").code == 0);
}

}  // namespace
}  // namespace kindred
