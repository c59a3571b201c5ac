// export, embed, and --weights, as a user runs them: good input, and input that is refused.
#include "onnx/onnx_reader.h"
#include "programs.h"

#include <kindred/apps/training/run/weights_source.h>
#include <kindred/data/npz/npz.h>
#include <kindred/data/sets/toy.h>
#include <kindred/data/sets/toy_set.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>
#include <kindred/models/encoder_file.h>

#include <nlohmann/json.hpp>

#include <map>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// A set, a trained run and a classifier, made once for the cases that only read them.
struct Trained {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", encoder = run + "/encoder.safetensors",
              classifier = run + "/probe/classifier.safetensors";
  Trained() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    REQUIRE(
        run_program("linear_probe", set + " --encoder " + encoder + " --out " + run + "/probe --epochs 3 -b 8")
            .code == 0);
  }
};

void expect_error(const ProgramResult& result, int code, const std::string& says) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(result.output.find(says) != std::string::npos);
}

void expect_good(const ProgramResult& result, const std::string& says) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(result.output.find(says) != std::string::npos);
}

TEST_CASE("export, embed and --weights do what they promise") {
  const Trained t;
  const std::string out = t.folder / "out", features_file = out + ".npz";
  const auto exported = [&](const std::string& flags) {
    return run_program("export", t.run + " --out " + out + " " + flags);
  };

  SUBCASE("torchvision's names, with and without a classifier") {
    expect_good(exported("--format torchvision"), "model.fc = torch.nn.Identity()");
    const SafetensorsFile ours(t.encoder), plain(out);
    CHECK(plain.entries().size() == ours.entries().size());
    for (const SafetensorsEntry& entry : ours.entries()) {
      REQUIRE(plain.find(entry.name) != nullptr);
      CHECK(plain.read<double>(plain.at(entry.name)) == ours.read<double>(entry));  // counters too
    }
    expect_good(exported("--format timm --classifier " + t.classifier), "classifier of 3 classes");
    const SafetensorsFile with(out), classifier(t.classifier);
    CHECK(with.entries().size() == ours.entries().size() + 2);
    CHECK(with.read<float>(with.at("fc.weight")) == classifier.read<float>(classifier.at("fc.weight")));
    CHECK(with.metadata().at("classes") == classifier.metadata().at("classes"));
  }
  SUBCASE("SupContrast's names: the head comes from the checkpoint of the run") {
    expect_good(exported("--format supcontrast"), "mlp projection head");
    const SafetensorsFile file(out);
    CHECK(file.find("encoder.layer2.0.shortcut.0.weight") != nullptr);
    CHECK(file.find("head.2.bias") != nullptr);
    // In the other direction: a run may begin with this file, including the head.
    expect_good(
        run_program("pretrain", t.set + " --out " + (t.folder / "tuned").string() + tiny + "--weights " + out),
        "SupContrast's names): ");
    expect_good(run_program("export", t.encoder + " --format supcontrast --out " + out), "no projection head");
    expect_error(run_program("export", t.encoder + " --head --format npz --out " + out), 4, "projection head");
  }
  SUBCASE("npz") {
    expect_good(exported("--format npz --head --classifier " + t.classifier), "resnet20");
    const NpzFile file(out);
    const SafetensorsFile ours(t.encoder);
    CHECK(file.at("layer3.0.conv1.weight").shape == ours.at("layer3.0.conv1.weight").shape);
    CHECK(file.read<float>(file.at("layer3.0.conv1.weight")) ==
          ours.read<float>(ours.at("layer3.0.conv1.weight")));
    CHECK(file.at("head.0.weight").shape == std::vector<std::int64_t>{64, 64});
    CHECK(file.at("fc.bias").shape == std::vector<std::int64_t>{3});
  }
  SUBCASE("a file of others becomes Kindred's again, byte for byte") {
    expect_good(exported("--format supcontrast"), "");
    const std::string back = t.folder / "back";
    expect_good(run_program("export", out + " --format kindred --out " + back), "");
    CHECK(read_bytes(back) == read_bytes(t.encoder));
    expect_good(exported("--format torchvision --classifier " + t.classifier), "");
    expect_good(run_program("export_weights", out + " --format kindred --out " + back), "");
    CHECK(read_bytes(back) == read_bytes(t.encoder));
  }
  SUBCASE("embed: features, labels, paths and classes") {
    expect_good(run_program("embed", t.set + " --encoder " + t.encoder + " -b 4 --out " + features_file),
                "6 images of 3 classes");
    const NpzFile file(features_file);
    CHECK(file.at("features").shape == std::vector<std::int64_t>{6, 64});
    CHECK(file.read<std::int64_t>(file.at("labels")) == std::vector<std::int64_t>{0, 0, 1, 1, 2, 2});
    const auto paths = file.read_texts(file.at("paths"));
    CHECK(paths.size() == 6);
    for (const std::string& path : paths) CHECK(fs::exists(path));
    CHECK(file.read_texts(file.at("classes")).size() == 3);
    // The features are the same for every batch size, up to rounding, and for a file with torchvision's names.
    const auto features = file.read<float>(file.at("features"));
    expect_good(exported("--format torchvision"), "");
    fs::rename(out, t.folder / "tv");
    expect_good(run_program("embed", t.set + " --weights " + (t.folder / "tv").string() + " -b 6 --out " +
                                         features_file),
                "105 tensors loaded");
    const NpzFile again(features_file);
    const auto others = again.read<float>(again.at("features"));
    REQUIRE(others.size() == features.size());
    for (std::size_t i = 0; i < features.size(); ++i)
      CHECK(others[i] == doctest::Approx(features[i]).epsilon(1e-4));
  }
  SUBCASE("embed --split train with a bad image, and --classifier") {
    std::ofstream(fs::directory_iterator(t.set + "/train")->path() / "bad.png") << "no picture";
    const auto result = run_program("embed", t.set + " --split train --encoder " + t.encoder +
                                                 " --classifier " + t.classifier + " --out " + features_file);
    expect_good(result, "24 images");
    expect_good(result, "bad.png");
    const NpzFile file(features_file);
    CHECK(file.at("logits").shape == std::vector<std::int64_t>{24, 3});
    CHECK(file.at("paths").shape == std::vector<std::int64_t>{24});
    const std::vector<std::string> names = {toy_class_name(0), toy_class_name(1), toy_class_name(2)};
    CHECK(file.read_texts(file.at("logit_classes")) == names);
    // Of images without classes too: the columns are the classifier's.
    expect_good(run_program("embed", t.set + "/val/" + toy_class_name(1) + " --encoder " + t.encoder +
                                         " --classifier " + t.classifier + " --out " + features_file),
                "3 logits each");
    const NpzFile of_others(features_file);
    CHECK(of_others.read_texts(of_others.at("logit_classes")) == names);
  }
  SUBCASE("features that are not finite end with code 7, and nothing is written") {
    WeightsSource source;
    source.encoder = t.encoder;
    const auto model = load_model(source, {});
    for (const Parameter& parameter : model->store.parameters())
      if (parameter.name.ends_with("layer3.2.bn2.weight") || parameter.name.ends_with("layer3.2.bn2.bias")) {
        Tensor value = parameter.value;
        const std::vector<float> huge(static_cast<std::size_t>(value.numel()), 3e38f);  // twice it is infinite
        value.copy_from(Tensor::from(huge, value.shape(), Device::cpu));
      }
    const std::string broken = t.folder / "broken.safetensors";
    save_encoder(broken, model->store, model->info.encoder, model->info.batches_tracked);
    const std::string with = " --encoder " + broken, both = with + " --classifier " + t.classifier,
                      error = "the encoder's features are not finite";
    expect_error(run_program("embed", t.set + with + " --out " + features_file), 7, error);
    CHECK(!fs::exists(features_file));
    expect_error(run_program("evaluate", t.set + both + " --json " + out), 7, error);
    CHECK(!fs::exists(out));
    for (const char* form : {"", " --csv", " --json"}) {
      const auto classified = run_program("classify", t.set + "/val" + both + form);
      expect_error(classified, 7, error);
      CHECK(!says(classified, "nan"));
      CHECK(!says(classified, "path,class1"));
    }
    expect_error(run_program("linear_probe", t.set + with + " --epochs 1 -b 8 --out " + out), 7, error);
    CHECK(!fs::exists(out + "/result.json"));
  }
  SUBCASE("linear_probe --weights recognizes the network and says how it prepares images") {
    expect_good(exported("--format torchvision"), "");
    const auto probed =
        run_program("linear_probe", t.set + " --weights " + out + " --out " + (t.folder / "p").string() +
                                        " --epochs 1 -b 8 --pixels cifar100");
    expect_good(probed, "resnet20 with the cifar stem; images are prepared as 32 pixels, mean 0.5071");
  }
  SUBCASE("classify: lines, JSON, and what cannot be read") {
    const auto picture = fs::directory_iterator(t.set + "/val")->path();
    const std::string image = fs::directory_iterator(picture)->path().string();
    const std::string model = " --encoder " + t.encoder + " --classifier " + t.classifier;
    const auto lines = run_program("classify", image + model + " --top 2");
    expect_good(lines, image + ": ");
    const auto quiet = run_program("classify", image + " " + image + model + " --json");
    CHECK(quiet.code == 0);
    const auto list = parse_json(quiet.output.substr(quiet.output.find("\n[") + 1));
    REQUIRE(list.size() == 2);
    CHECK(list[0]["path"] == image);
    CHECK(list[0]["predictions"].size() == 3);  // five were requested, there are three
    double sum = 0, last = 1;
    for (const auto& prediction : list[0]["predictions"]) {
      const double probability = prediction["probability"].get<double>();
      CHECK(probability <= last);
      sum += last = probability;
    }
    CHECK(sum == doctest::Approx(1));
    CHECK(list[0] == list[1]);
    std::ofstream(t.folder / "bad.jpg") << "no picture";
    const auto bad = run_program("classify", (t.folder / "bad.jpg").string() + " " + image + model);
    expect_error(bad, 3, "1 of 2 images could not be read: ");
    CHECK(bad.output.find("bad.jpg: cannot be read: ") != std::string::npos);
    CHECK(bad.output.find(image + ": ") != std::string::npos);
  }
  SUBCASE("evaluate: agrees with the probe, and with the logits of embed") {
    const std::string model = t.set + " --encoder " + t.encoder + " --classifier " + t.classifier + " ";
    const std::string json = t.folder / "e.json";
    expect_good(run_program("evaluate", model + "--json " + json), "expected calibration error");
    const auto result = parse_json(read_bytes(json));
    const auto probe = parse_json(read_bytes(t.run + "/probe/result.json"));
    CHECK(result["top1"] == probe["top1"]);
    CHECK(result["top5"] == 1);
    CHECK(result["images"] == 6);
    std::int64_t total = 0, right = 0;
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 3; ++j) {
        total += result["confusion"][i][j].get<std::int64_t>();
        if (i == j) right += result["confusion"][i][j].get<std::int64_t>();
      }
    CHECK(total == 6);
    CHECK(double(right) / 6 == doctest::Approx(result["top1"].get<double>()));
    CHECK(result["classes"][0]["images"] == 2);

    expect_good(run_program("evaluate", model + "--corruptions contrast,fog --severities 1,5 --json " + json),
                "meant for images of 224 pixels");
    const auto some = parse_json(read_bytes(json))["corruptions"];
    CHECK(some["errors"]["fog"].size() == 2);
    CHECK(!some.contains("mean_corruption_error"));
    CHECK(some["left_out"][0] == "frost");
    expect_good(run_program("evaluate", model + "--corruptions all --limit-eval-per-class 1 --json " + json),
                "mean corruption error over 14 of ImageNet-C's 15 corruptions (without frost)");
    const auto all = parse_json(read_bytes(json))["corruptions"];
    CHECK(all["errors"].size() == 14);
    double sum = 0;
    for (const auto& ratio : all["corruption_errors"]) sum += ratio.get<double>() / 14;
    CHECK(all["mean_corruption_error"].get<double>() == doctest::Approx(sum));
  }
  SUBCASE("evaluate and classify refuse what they cannot use") {
    const std::string model = t.set + " --encoder " + t.encoder + " --classifier " + t.classifier + " ";
    expect_error(run_program("evaluate", model + "--corruptions frost"), 2, "gaussian_noise");
    expect_error(run_program("evaluate", model + "--corruptions all --severities 6"), 2, "--severities");
    expect_error(run_program("evaluate", model + "--corruptions all --severities 1,1"), 2, "each once");
    expect_error(run_program("evaluate", model + "--corruptions fog,contrast,fog"), 2,
                 "--corruptions fog: expected all, or names, each once");
    expect_error(run_program("evaluate", model + "--severities 1"), 2, "--corruptions");
    expect_error(run_program("evaluate", model + "--corruptions fog --image-size 16"), 2,
                 "16 pixels are too small");
    expect_error(run_program("evaluate", t.set + " --encoder " + t.encoder), 2, "--classifier");
    expect_error(run_program("evaluate", t.set + " --encoder " + t.encoder + " --classifier " + t.encoder), 4,
                 "no classifier");
    ToySetOptions other;
    other.classes = 4;
    other.per_class = 4;
    other.image_size = 32;
    make_toy_set((t.folder / "other").string(), other);
    expect_good(run_program("evaluate", (t.folder / "other").string() + " --encoder " + t.encoder +
                                            " --classifier " + t.classifier),
                "warning: the classifier does not know the class " + toy_class_name(3) + ": 1 image left out");
    expect_error(
        run_program("classify", "a.png --encoder " + t.encoder + " --classifier " + t.classifier + " --top 0"),
        2, "--top");
    expect_error(run_program("classify", "--encoder " + t.encoder + " --classifier " + t.classifier), 2,
                 "IMAGE");
  }
  SUBCASE("onnx: the nodes and weights of the network, or a clear refusal") {
    const auto result = exported("--format onnx --classifier " + t.classifier);
    if (result.code == 2) {
      expect_error(result, 2, "libonnx");
      return;
    }
    expect_good(result, "classifier of 3 classes");
    const OnnxFile graph(read_bytes(out));
    CHECK(graph.operator_set == 17);
    CHECK(graph.count("Conv") == 21);  // 19 of 3x3, and the projections of two stages
    CHECK(graph.count("BatchNormalization") == 21);
    CHECK(graph.count("Relu") == 19);
    CHECK(graph.count("Add") == 9);
    CHECK(graph.count("Gemm") == 1);
    CHECK(graph.count("MaxPool") == 0);
    const SafetensorsFile ours(t.encoder);
    CHECK(graph.weights.size() == 21 + 4 * 21 + 2);
    for (const SafetensorsEntry& entry : ours.entries()) {
      if (entry.dtype != "F32") continue;
      const auto values = ours.read<float>(entry);
      CHECK(graph.weights.at(entry.name).values == values);
    }
    expect_good(exported("--format onnx --head"), "mlp projection head");
    const OnnxFile with_head(read_bytes(out));
    CHECK(with_head.count("Gemm") == 2);
    CHECK(with_head.count("Div") == 1);
    expect_error(exported("--format onnx --head --classifier " + t.classifier), 2, "two files");
    expect_error(run_program_with("ulimit -f 256;", "export", t.run + " --out " + out + "2 --format onnx"), 6,
                 "ulimit");
  }
  SUBCASE("flags and files that cannot be used") {
    expect_error(exported("--format keras"), 2, "torchvision");
    expect_error(exported("--format torchvision --head"), 2, "--head");
    expect_error(exported("--format kindred --classifier " + t.classifier), 2, "--classifier");
    expect_error(exported("--format torchvision --classifier " + t.encoder), 4, "holds no classifier");
    expect_error(exported("--format npz --image-size 64"), 2, "--image-size");
    expect_error(run_program("export", t.set + " --format npz --out " + out), 4, "encoder.safetensors");
    expect_error(run_program("export", t.run + "/none --format npz --out " + out), 4, "none");
    expect_error(run_program("export", t.classifier + " --format npz --out " + out), 4,
                 "it is a classifier and holds no encoder; give ");
    expect_error(run_program("export", t.run + " --format npz --out " + (t.folder / "no/such").string()), 6,
                 "folder");
    for (const char* format : {"torchvision", "supcontrast", "npz"})
      expect_error(
          run_program_with("ulimit -f 256;", "export", t.run + " --out " + out + " --format " + format), 6,
          "ulimit");
    CHECK(!fs::exists(out));
    expect_error(run_program("embed", t.set + " --out " + features_file), 2, "--encoder");
    expect_error(
        run_program("embed", t.set + " --encoder " + t.encoder + " --split test --out " + features_file), 2,
        "--split");
    expect_error(run_program("embed", t.set + " --encoder " + t.classifier + " --out " + features_file), 4,
                 "it is a classifier and holds no encoder; give ");
    expect_error(run_program("embed", t.set + " --encoder " + t.encoder + " --classifier " + t.encoder +
                                          " --out " + features_file),
                 4, "holds no classifier");
    expect_error(run_program_with("ulimit -f 1;", "embed",
                                  t.set + " --encoder " + t.encoder + " --out " + features_file),
                 6, "ulimit");
    CHECK(!fs::exists(features_file));
    const std::string tuned =
        t.set + " --out " + (t.folder / "tuned").string() + " --image-size 32 -b 8 --epochs 1 ";
    expect_error(run_program("pretrain", tuned + "--model resnet18 --weights " + t.encoder), 4,
                 "does not fit the model resnet18: it holds a resnet20; leave --model out, as the file says "
                 "which, or give --model resnet20\n");
    expect_good(run_program("pretrain", tuned + "--model resnet32 --weights " + t.encoder),
                "missing and unchanged");
    expect_error(run_program("linear_probe",
                             t.set + " --weights " + t.classifier + " --out " + (t.folder / "p").string()),
                 4, "it is a classifier and holds no encoder; give ");
  }
}

}  // namespace
}  // namespace kindred
