// Mistakes that the programs answer with what to do: parts of images that are no set, lists of the wrong kind, a batch of
// one image.
#include "programs.h"

#include <doctest/doctest.h>

namespace kindred {
namespace {

namespace fs = std::filesystem;

void expect_line(const ProgramResult& result, int code, const std::string& line) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(says(result, line + "\n"));
}

TEST_CASE("--split and --val-fraction of images that are no set, and tables for classify, say what to do") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", flat = folder / "flat",
                    list = folder / "list.txt", out = " --out " + (folder / "f.npz").string(),
                    encoder = " --device cpu -j 1 --encoder " + run + "/encoder.safetensors";
  REQUIRE(run_program("pretrain", set + " --loss cross_entropy --out " + run + tiny).code == 0);
  fs::create_directories(flat);
  for (const auto& file : fs::recursive_directory_iterator(set + "/val"))
    if (file.is_regular_file())
      fs::copy_file(file.path(), flat + "/0.jpg", fs::copy_options::overwrite_existing);
  write_bytes(list, "flat/0.jpg\n");
  const std::string middle = ": it chooses a part of a data set, and ";
  expect_line(run_program("embed", list + " --split val" + encoder + out), 2,
              "error: --split val" + middle + list + " is a list of images, which has no parts; leave it out");
  expect_line(run_program("embed", flat + " --split val" + encoder + out), 2,
              "error: --split val" + middle + flat +
                  " is a folder of images without class folders, which has no parts; leave it out");
  expect_line(
      run_program("embed", flat + "/0.jpg --val-fraction 0.5" + encoder + out), 2,
      "error: --val-fraction 0.5" + middle + flat + "/0.jpg is an image, which has no parts; leave it out");
  CHECK(run_program("embed", list + encoder + out).code == 0);

  const std::string table = folder / "lab.csv";
  write_bytes(table, "image,label\nflat/0.jpg,a\n");
  const auto classified =
      run_program("classify", table + encoder + " --classifier " + run + "/classifier.safetensors");
  CAPTURE(classified.output);
  CHECK(classified.code == 3);
  CHECK(says(
      classified,
      "not an image file of a known format; a list of images is a text file (.txt) with a path on each line"));
}

TEST_CASE("files of the wrong kind are refused at once, with what is expected and where to get it") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", out = " --out " + run + tiny;
  const std::string recipe = "the config.json of a run has one under \"augmentation\"";
  for (const std::string& augment : {set, std::string("/dev/null")})
    expect_line(run_program("pretrain", set + out + "--augment " + augment), 2,
                ", probe, none, or a recipe in a file, RECIPE.json; " + recipe);
  const std::string none = folder / "none.json";
  expect_line(run_program("check_data", set + " --no-pictures --views --augment " + none), 4,
              "error: " + none +
                  ": cannot be opened: No such file or directory; expected a recipe of augmentation; " +
                  recipe);
  for (const std::string program : {"pretrain", "check_data"})
    expect_line(run_program(program, set + " --labels " + set + (program == "pretrain" ? out : "")), 2,
                "error: --labels " + set +
                    ": a folder; expected a CSV file with the columns path,label, such as " + set +
                    "/labels.csv");
  expect_line(run_program("pretrain", "--config /dev/zero" + out), 4,
              "error: --config /dev/zero: is not a regular file; give the config.json of a run, or a file with "
              "the same names");
  const std::string file = folder / "file";
  write_bytes(file, "mine");
  expect_line(run_program("check_data", set + " --out " + file + "/x"), 6,
              "; " + file + " is not a folder: choose another folder");
  expect_line(run_program("make_toy_dataset", file + "/x"), 6, " is not a folder: choose another folder");
  CHECK(!fs::exists(run));
}

TEST_CASE("weights that are not there: the flag, what it takes, and the file of --config that named them") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", tuned = folder / "tuned",
                    none = folder / "none";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const std::string missing =
      none +
      ": there is no such file or folder; give the --out folder of a pretrain run, a checkpoint, or a "
      ".safetensors file";
  const std::string to_probe = set + " --out " + (folder / "probe").string();
  expect_line(run_program("linear_probe", to_probe + " --encoder " + none), 4, "error: --encoder " + missing);
  expect_line(run_program("linear_probe", to_probe + " --weights " + none), 4, "error: --weights " + missing);
  const auto classified = run_program("classify", set + "/val --encoder " + run + " --classifier " + run);
  CHECK(classified.code == 4);
  CHECK(says(classified, "error: --classifier " + run + ": it has no classifier.safetensors; `"));
  CHECK(says(classified, "linear_probe DIR --encoder " + run + " --out " + run + "/probe` makes one\n"));
  CHECK(run_program("classify", "'' --encoder " + run + " --classifier " + run + "/encoder.safetensors").code ==
        2);
  fs::rename(run, none);
  REQUIRE(run_program("pretrain", set + " --weights " + none + " --out " + tuned + tiny).code == 0);
  fs::rename(none, run);
  const std::string config = "--config " + tuned + "/config.json --out " + (folder / "again").string();
  expect_line(run_program("pretrain", config), 4,
              "error: --weights " + missing + "; " + tuned +
                  "/config.json gives --weights, so give it anew beside --config");
  expect_line(run_program("pretrain", config + " --weights " + none), 4, "error: --weights " + missing);
  CHECK(run_program("pretrain", config + " --weights " + run).code == 0);
}

TEST_CASE("pretrain -b 1: refused where the loss of one image is the same for all features") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 2, 4), run = folder / "run",
                    out = " --out " + run + tiny + "-b 1 ";
  for (const std::string loss : {"supcon", "simclr", "n_pairs", "triplet"})
    expect_line(
        run_program("pretrain", set + out + "--loss " + loss), 2,
        "error: --batch-size 1 with --loss " + loss +
            ": one image has no others to be compared with, so the loss is the same for all features and "
            "nothing is learned; use --batch-size 2 or more");
  const std::string refused = "error: --batch-size 1 with --loss ";
  for (const char* flags : {"--views 3 --variant in", "--views 3 --positives-cap 1",
                            "--views 3 --denominator only-negatives", "--loss max_margin --views 1"}) {
    CAPTURE(flags);
    CHECK(says(run_program("pretrain", set + out + flags), refused));
  }
  CHECK(!fs::exists(run));
  for (const char* flags : {"--views 3", "--queue 16", "--loss cross_entropy", "--loss max_margin"}) {
    CAPTURE(flags);
    const auto trained = run_program("pretrain", set + out + flags + " --dry-run");
    CAPTURE(trained.output);
    CHECK(!says(trained, refused));
    CHECK(trained.code == 0);
  }
}

}  // namespace
}  // namespace kindred
