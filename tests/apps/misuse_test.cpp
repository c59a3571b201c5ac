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
