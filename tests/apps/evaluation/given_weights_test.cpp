// What programs accept as an encoder: a file, a checkpoint, the folder of a run, and --best; and what they say about
// files of other programs.
#include "../../errors.h"
#include "../programs.h"

#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/data/npz/npz.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

struct OneRun {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", best = run + "/best_encoder.safetensors";
  OneRun() { REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--seed 1").code == 0); }
};

// Makes the best encoder another one than the last: that of a run with another seed.
struct TwoEncoders : OneRun {
  std::string other = folder / "other";
  TwoEncoders() { REQUIRE(run_program("pretrain", set + " --out " + other + tiny + "--seed 2").code == 0); }
  void make_best_another() const {
    fs::copy_file(other + "/encoder.safetensors", best, fs::copy_options::overwrite_existing);
  }
  std::vector<float> features(const std::string& flags) const {
    const std::string out = folder / "f.npz";
    const auto result = run_program("embed", set + " -b 6 --out " + out + " " + flags);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    const NpzFile file(out);
    return file.read<float>(file.at("features"));
  }
};

void expect_error(const ProgramResult& result, int code, const std::string& text) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(says(result, text));
}

TEST_CASE("given weights: the classifier of a folder, and of its best epoch if there is one") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto refusal = [&] { return test::error_of([&] { classifier_file(run, false); }); };
  const std::string probe = "linear_probe DIR --encoder ";
  CHECK(refusal().starts_with("--classifier " + run + ": there is no such file or folder; "));
  CHECK(refusal().ends_with(probe + "RUN --out RUN/probe` makes one"));
  fs::create_directories(run + "/probe");
  write_bytes(run + "/encoder.safetensors", "");
  CHECK(refusal().starts_with("--classifier " + run + ": it has no classifier.safetensors; "));
  CHECK(refusal().ends_with(probe + run + " --out " + run + "/probe` makes one"));
  write_bytes(run + "/probe/classifier.safetensors", "");
  CHECK(refusal().ends_with("; give --classifier " + run + "/probe"));
  CHECK(test::code_of([&] { classifier_file(run, false); }) == ExitCode::file);
  write_bytes(run + "/classifier.safetensors", "");
  CHECK(classifier_file(run, true) == run + "/classifier.safetensors");
  write_bytes(run + "/best_classifier.safetensors", "");
  CHECK(classifier_file(run, true) == run + "/best_classifier.safetensors");
  CHECK(classifier_file(run, false) == run + "/classifier.safetensors");
  CHECK(classifier_file(run + "/best_classifier.safetensors", false) == run + "/best_classifier.safetensors");
}

TEST_CASE("given weights: a run that was set aside is named, with what brings it back") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  fs::create_directories(run + "/.kindred-run-earlier");
  const std::string error = test::error_of([&] { weights_file("--encoder", run, false); });
  CHECK(error.find(run + " has no encoder.safetensors: ") == 0);
  CHECK(error.find(" has set the earlier run aside in " + run +
                   "/.kindred-run-earlier; after a kill the next `pretrain` in " + run + " puts it back") !=
        std::string::npos);
}

TEST_CASE("given weights: a file that was set aside is named with its place, and with what brings it back") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const auto error_about = [](const std::string& file) {
    const auto look = [&] {
      if (file.find("classifier") == std::string::npos)
        weights_file("--encoder", file, false);
      else
        classifier_file(file, false);
    };
    CHECK(test::code_of(look) == ExitCode::file);
    return test::error_of(look);
  };
  const struct {
    std::string file, place, program, folder;
  } cases[] = {
      {"/encoder.safetensors", "/.kindred-run-earlier/encoder.safetensors", "pretrain", ""},
      {"/best_encoder.safetensors", "/.kindred-run-moving/best_encoder.safetensors", "pretrain", ""},
      {"/classifier.safetensors", "/.kindred-run-earlier/classifier.safetensors", "pretrain", ""},
      {"/checkpoints/step-000000003.safetensors", "/checkpoints/.kindred-run-part/step-000000003.safetensors",
       "pretrain", ""},
      {"/probe/classifier.safetensors", "/probe/.kindred-run-part/classifier.safetensors", "pretrain", ""},
      {"/other/classifier.safetensors", "/other/.kindred-probe-earlier/classifier.safetensors", "linear_probe",
       "/other"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.file);
    fs::create_directories(fs::path(run + c.place).parent_path());
    write_bytes(run + c.place, "");
    CHECK(error_about(run + c.file) ==
          run + c.file +
              " is not there: an --overwrite that has not saved yet, or was killed, has set it aside "
              "as " +
              run + c.place + "; after a kill the next `" + c.program + "` in " + run + c.folder +
              " puts it back");
    write_bytes(run + c.file, "");  // it is there again
    CHECK(weights_file("--encoder", run + c.file, false).string() == run + c.file);
    CHECK(classifier_file(run + c.file, false) == run + c.file);
  }
  const std::string mistyped = run + "/mistyped.safetensors";  // it was never there
  CHECK(error_about(mistyped) ==
        "--encoder " + mistyped +
            ": there is no such file or folder; give the --out folder of a pretrain run, a checkpoint, or a "
            ".safetensors file");
  CHECK(classifier_file("", false).empty());
}

TEST_CASE("encoders: a run, a checkpoint and --best give the features of the right file") {
  const TwoEncoders t;
  // The only epoch is the best one, and the file is there.
  CHECK(read_bytes(t.best) == read_bytes(t.run + "/encoder.safetensors"));
  CHECK(read_bytes(t.run + "/checkpoints/best.txt") == "step-000000003.safetensors\n");
  t.make_best_another();
  const auto last = t.features("--encoder " + t.run + "/encoder.safetensors"),
             best = t.features("--encoder " + t.other + "/encoder.safetensors");
  REQUIRE(last != best);
  CHECK(t.features("--encoder " + t.run) == last);
  CHECK(t.features("--weights " + t.run) == last);
  CHECK(t.features("--encoder " + t.run + "/checkpoint.safetensors") == last);
  CHECK(t.features("--weights " + t.run + "/checkpoints/step-000000003.safetensors") == last);
  CHECK(t.features("--best --encoder " + t.run) == best);
  CHECK(t.features("--best --weights " + t.run) == best);
  // A run of an earlier version has only the best checkpoint.
  fs::remove(t.best);
  CHECK(t.features("--best --encoder " + t.run) == last);
}

TEST_CASE(
    "export: a run, a checkpoint and --best become the bytes of the right encoder file, also with the head") {
  const TwoEncoders t;
  t.make_best_another();
  const std::string out = t.folder / "out.safetensors";
  const auto exported = [&](const std::string& source) {
    const auto result = run_program("export", source + " --format kindred --out " + out);
    CAPTURE(result.output);
    REQUIRE(result.code == 0);
    return read_bytes(out);
  };
  const std::string last = read_bytes(t.run + "/encoder.safetensors");
  CHECK(exported(t.run) == last);
  CHECK(exported(t.run + " --best") == read_bytes(t.other + "/encoder.safetensors"));
  CHECK(exported(t.run + "/checkpoint.safetensors") == last);
  CHECK(exported(t.run + "/checkpoints/step-000000003.safetensors") == last);
  const auto with_head =
      run_program("export", t.run + "/checkpoint.safetensors --format supcontrast --out " + out);
  CHECK(with_head.code == 0);
  CHECK(says(with_head, "with its mlp projection head"));
}

TEST_CASE("pretrain --weights and linear_probe take a run, a checkpoint and --best") {
  const TwoEncoders t;
  t.make_best_another();
  const auto begins_with = [&](const std::string& weights, const std::string& file) {
    const auto result = run_program(
        "pretrain", t.set + " --out " + (t.folder / "tuned").string() + tiny + "--overwrite " + weights);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(says(result, "weights: " + file + " (torchvision's names): "));
  };
  begins_with("--weights " + t.run, t.run + "/encoder.safetensors");
  begins_with("--best --weights " + t.run, t.best);
  CHECK(json_file(t.folder / "tuned/config.json").at("best") == true);
  begins_with("--weights " + t.run + "/checkpoint.safetensors", t.run + "/checkpoint.safetensors");
  CHECK(!json_file(t.folder / "tuned/config.json").contains("best"));

  const auto probe = [&](const std::string& flags, const std::string& name) {
    const std::string out = t.folder / name;
    const auto result = run_program("linear_probe", t.set + " --epochs 2 -b 8 --out " + out + " " + flags);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    return read_bytes(out + "/classifier.safetensors");
  };
  const std::string best = probe("--encoder " + t.run + " --best", "best");
  CHECK(best == probe("--encoder " + t.best, "file"));
  CHECK(best != probe("--encoder " + t.run, "last"));
}

TEST_CASE("encoders: what is no encoder is refused with what to give") {
  const OneRun t;
  const std::string embed = t.set + " --out " + (t.folder / "f.npz").string() + " ",
                    file = t.run + "/encoder.safetensors";
  expect_error(run_program("embed", embed + "--best --encoder " + file), 2,
               "--best: --encoder " + file + " is a file; give the folder of its run");
  expect_error(run_program("export", file + " --best --format npz --out " + (t.folder / "x.npz").string()), 2,
               "--best: SOURCE " + file + " is a file");
  expect_error(
      run_program("linear_probe", t.set + " --best --out " + (t.folder / "p").string() + " --encoder " + file),
      2, "--best: --encoder " + file + " is a file");
  expect_error(run_program("pretrain", t.set + " --best --out " + (t.folder / "p").string() + tiny), 2,
               "--best is for --weights RUN");
  expect_error(run_program("embed", embed + "--encoder " + t.set), 4,
               "has no encoder.safetensors: give the --out folder of a pretrain run");
  fs::remove(t.best);
  fs::remove(t.run + "/checkpoints/best.txt");
  expect_error(run_program("embed", embed + "--best --encoder " + t.run), 4,
               "has no best_encoder.safetensors: no epoch of its run has finished");
}

TEST_CASE("a .pth file is named as one wherever weights are read") {
  const OneRun t;
  const std::string pth = t.folder / "resnet20.pth", encoder = " --encoder " + t.run + " ",
                    out = (t.folder / "out").string();
  write_bytes(pth, std::string("PK\x03\x04\0\0\x08\x08\0\0", 10) + std::string(20, '\0') + "archive/data.pkl");
  const std::string expected =
      pth +
      " is a file of PyTorch's (.pth, .pt), a pickle, which could run code; convert it with "
      "scripts/convert_pth.py, and give the .safetensors file that it writes\n";
  expect_error(run_program("embed", t.set + " --out " + out + ".npz --weights " + pth), 4, expected);
  expect_error(run_program("embed", t.set + " --out " + out + ".npz --encoder " + pth), 4, expected);
  expect_error(run_program("embed", t.set + " --out " + out + ".npz" + encoder + "--classifier " + pth), 4,
               expected);
  expect_error(run_program("linear_probe", t.set + " --out " + out + " --weights " + pth), 4, expected);
  expect_error(run_program("pretrain", t.set + " --out " + out + tiny + "--weights " + pth), 4, expected);
  expect_error(run_program("export", pth + " --format npz --out " + out), 4, expected);
}

TEST_CASE("export: the file that is read is not replaced") {
  const OneRun t;
  const std::string file = t.run + "/encoder.safetensors", bytes = read_bytes(file);
  for (const std::string& source : {t.run, file}) {
    CAPTURE(source);
    expect_error(
        run_program("export", source + " --format torchvision --out " + t.run + "/./encoder.safetensors"), 2,
        "this is the file that is read; give another name");
  }
  CHECK(read_bytes(file) == bytes);
}

TEST_CASE("export: an ending that promises another format is refused with the right one") {
  const OneRun t;
  const auto refused = [&](const std::string& format, const std::string& name, const std::string& better) {
    CAPTURE(name);
    const std::string out = t.folder / name;
    const auto result = run_program("export", t.run + " --format " + format + " --out " + out);
    expect_error(result, 2, "--out " + out + ": --format " + format + " writes a ");
    CHECK(says(result, "give --out " + (t.folder / better).string()));
    CHECK(!fs::exists(out));
  };
  refused("torchvision", "e.pth", "e.safetensors, which safetensors.torch.load_file reads there");
  refused("timm", "e.PT", "e.safetensors");
  refused("kindred", "e.npz", "e.safetensors, or another --format");
  refused("npz", "e.safetensors", "e.npz, or another --format");
  refused("npz", "e.onnx", "e.npz");
  for (const char* name : {"e.weights", "e", "e.v1.5"})
    CHECK(run_program("export", t.run + " --format npz --out " + (t.folder / name).string()).code == 0);
}

}  // namespace
}  // namespace kindred
