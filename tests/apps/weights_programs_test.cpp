// export, embed, and --weights, as a user runs them: good input and what is refused.
#include "programs.h"

#include <kindred/data/npz.h>
#include <kindred/engine/safetensors.h>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string tiny = " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 1 ";

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
  const std::string out = t.folder / "out";
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
    // And back: a run may begin with it, head included.
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
    expect_good(run_program("embed", t.set + " --encoder " + t.encoder + " -b 4 --out " + out),
                "6 images of 3 classes");
    const NpzFile file(out);
    CHECK(file.at("features").shape == std::vector<std::int64_t>{6, 64});
    CHECK(file.read<std::int64_t>(file.at("labels")) == std::vector<std::int64_t>{0, 0, 1, 1, 2, 2});
    const auto paths = file.read_texts(file.at("paths"));
    CHECK(paths.size() == 6);
    for (const std::string& path : paths) CHECK(fs::exists(path));
    CHECK(file.read_texts(file.at("classes")).size() == 3);
    // The same features whatever the batch size, up to rounding, and by way of torchvision's names.
    const auto features = file.read<float>(file.at("features"));
    expect_good(exported("--format torchvision"), "");
    fs::rename(out, t.folder / "tv");
    expect_good(run_program("embed", t.set + " --weights " + (t.folder / "tv").string() + " -b 6 --out " + out),
                "120 tensors taken");
    const NpzFile again(out);
    const auto others = again.read<float>(again.at("features"));
    REQUIRE(others.size() == features.size());
    for (std::size_t i = 0; i < features.size(); ++i)
      CHECK(others[i] == doctest::Approx(features[i]).epsilon(1e-4));
  }
  SUBCASE("embed --split train with a bad image, and --classifier") {
    std::ofstream(fs::directory_iterator(t.set + "/train")->path() / "bad.png") << "no picture";
    const auto result = run_program("embed", t.set + " --split train --encoder " + t.encoder +
                                                 " --classifier " + t.classifier + " --out " + out);
    expect_good(result, "24 images");
    expect_good(result, "bad.png");
    const NpzFile file(out);
    CHECK(file.at("logits").shape == std::vector<std::int64_t>{24, 3});
    CHECK(file.at("paths").shape == std::vector<std::int64_t>{24});
  }
  SUBCASE("linear_probe --weights recognizes the network and says how it prepares images") {
    expect_good(exported("--format torchvision"), "");
    const auto probed =
        run_program("linear_probe", t.set + " --weights " + out + " --out " + (t.folder / "p").string() +
                                        " --epochs 1 -b 8 --pixels cifar100");
    expect_good(probed, "resnet20 with the cifar stem; images are prepared as 32 pixels, mean 0.5071");
  }
  SUBCASE("flags and files that cannot be used") {
    expect_error(exported("--format keras"), 2, "torchvision");
    expect_error(exported("--format torchvision --head"), 2, "--head");
    expect_error(exported("--format kindred --classifier " + t.classifier), 2, "--classifier");
    expect_error(exported("--format torchvision --classifier " + t.encoder), 4, "holds no classifier");
    expect_error(exported("--format npz --image-size 64"), 2, "--image-size");
    expect_error(run_program("export", t.set + " --format npz --out " + out), 4, "encoder.safetensors");
    expect_error(run_program("export", t.run + "/none --format npz --out " + out), 4, "none");
    expect_error(run_program("export", t.classifier + " --format npz --out " + out), 4, "no ResNet");
    expect_error(run_program("export", t.run + " --format npz --out " + (t.folder / "no/such").string()), 6,
                 "folder");
    for (const char* format : {"torchvision", "supcontrast", "npz"})
      expect_error(
          run_program_with("ulimit -f 256;", "export", t.run + " --out " + out + " --format " + format), 6,
          "ulimit");
    CHECK(!fs::exists(out));
    expect_error(run_program("embed", t.set + " --out " + out), 2, "--encoder");
    expect_error(run_program("embed", t.set + " --encoder " + t.encoder + " --split test --out " + out), 2,
                 "--split");
    expect_error(run_program("embed", t.set + " --encoder " + t.classifier + " --out " + out), 4, "no encoder");
    expect_error(run_program("embed", t.set + " --encoder " + t.encoder + " --classifier " + t.encoder +
                                          " --out " + out),
                 4, "holds no classifier");
    expect_error(run_program_with("ulimit -f 1;", "embed", t.set + " --encoder " + t.encoder + " --out " + out),
                 6, "ulimit");
    CHECK(!fs::exists(out));
    const std::string tuned =
        t.set + " --out " + (t.folder / "tuned").string() + " --image-size 32 -b 8 --epochs 1 ";
    expect_error(run_program("pretrain", tuned + "--model resnet18 --weights " + t.encoder), 4,
                 "conv1.weight (is [16, 3, 3, 3], should be [64, 3, 3, 3])");
    expect_good(run_program("pretrain", tuned + "--model resnet32 --weights " + t.encoder),
                "missing and left as they were");
    expect_error(run_program("linear_probe",
                             t.set + " --weights " + t.classifier + " --out " + (t.folder / "p").string()),
                 4, "no ResNet");
  }
}

}  // namespace
}  // namespace kindred
