// Mistakes of users, and failing disks and files: the answer is one line and a documented exit code; nothing is
// lost or changed.
#include "programs.h"

#include <kindred/apps/console/data_options.h>
#include <kindred/engine/files/safetensors.h>

#include <algorithm>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

void expect_error(const ProgramResult& result, int code, const std::string& says) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(result.output.find(says) != std::string::npos);
}

void write_file(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST_CASE("data sets that cannot be used are refused with what is wrong") {
  const TemporaryFolder folder;
  const std::string out = " --out " + (folder / "run").string() + tiny;
  expect_error(run_program("pretrain", (folder / "missing").string() + out), 3, "missing");
  for (const std::string program : {"pretrain", "check_data"})
    expect_error(run_program(program, "''" + (program == "pretrain" ? out : "")), 2,
                 "error: DIR is empty; give the folder or the file of a data set\n");
  fs::create_directories(folder / "empty");
  expect_error(run_program("pretrain", (folder / "empty").string() + out), 3, "train");
  fs::create_directories(folder / "one/train/only");
  write_file(folder / "one/train/only/a.png", "x");
  expect_error(run_program("pretrain", (folder / "one").string() + out), 3, "class");

  const std::string set = draw_tiny_set(folder);
  fs::rename(set + "/val", folder / "val");
  fs::create_directories(set + "/val/other");
  write_file(set + "/val/other/a.jpg", "x");
  expect_error(run_program("pretrain", set + out), 3, "other");
  CHECK(!fs::exists(folder / "run"));  // nothing is left behind by a run that never began
}

TEST_CASE("a training set without evaluation images trains, without a nearest-neighbour figure") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  fs::remove_all(set + "/val");
  CHECK(run_program("pretrain", set + " --out " + (folder / "run").string() + tiny).code == 0);
  CHECK(read_bytes(folder / "run/metrics.jsonl").find("\"knn_top1\":null") != std::string::npos);
  expect_error(run_program("linear_probe",
                           set + " --untrained resnet20 --image-size 32 --out " + (folder / "p").string()),
               3, "val");
}

TEST_CASE("flags that cannot be used are refused") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), out = " --out " + (folder / "run").string() + " ";
  expect_error(run_program("pretrain", set + out + "-b 8 --temperature 0"), 2, "--temperature");
  expect_error(run_program("pretrain", set + out + "-b 8 --temperature -1"), 2, "--temperature");
  expect_error(run_program("pretrain", set + out + "-b 8 --temperature nan"), 2, "--temperature");
  expect_error(run_program("pretrain", set + out + "-b 1000"), 2, "24");
  expect_error(run_program("pretrain", set + out + "-b 0"), 2, "--batch-size");
  expect_error(run_program("pretrain", set + out + "-b 8 --epochs 0"), 2, "--epochs");
  expect_error(run_program("pretrain", set + out + "-b 8 --image-size 2"), 2, "--image-size");
  expect_error(run_program("pretrain", set + out + "-b 8 --model resnet17"), 2, "resnet18");
  expect_error(run_program("pretrain", set + out + "-b 8 --preset nothing"), 2, "cifar");
  expect_error(run_program("pretrain", set + out + "-b 8 --augment nothing"), 2, "simaugment");
  expect_error(run_program("pretrain", set + out + "-b 8 --loss simclr --views 1"), 2, "--views");
  expect_error(run_program("pretrain", set + out + "-b 8 --frobnicate"), 2, "frobnicate");
  expect_error(run_program("pretrain", set + out + "-b 8 --device cuda"), 5, "cuda");
  expect_error(run_program("pretrain", set + out + "-b 8 --device cuda"), 5, "; use --device cpu");
  expect_error(run_program("pretrain", set + out + "-b 8 --device tpu"), 2, "tpu");
  // Advice of the programs for errors of the library (apps/console/advice.h).
  expect_error(run_program("pretrain", set + out + "-b 8 --device cpu --precision f16"), 2,
               "use --device cuda, or");
  expect_error(run_program("pretrain", set + out + "-b 8 --device reference --precision bf16"), 2,
               "computes in f32; use --device cpu");
  expect_error(run_program("pretrain", set + out + "-b 8 --device reference --precision bf16"), 2, "reference");
  expect_error(run_program("pretrain", set + out + "-b 8 --device cpu --precision f16"), 2, "--device cuda");
  expect_error(run_program("pretrain", set + out + "-b 8 --device cpu --precision tf32"), 2, "--device cuda");
  expect_error(run_program("pretrain", set + out + "-b 8 --precision fp16"), 2, "bf16");
  expect_error(run_program("linear_probe", set + out + "--untrained resnet20 --device cpu --precision f16"), 2,
               "f16");
  expect_error(run_program("linear_probe", set + out + "--encoder any --stem cifar"), 2, "--untrained");
  for (const std::string inside : {"", "/train/run", "/train/../run"})
    for (const std::string program : {"pretrain -b 8", "linear_probe --untrained resnet20"})
      expect_error(run_program(program.substr(0, program.find(' ')),
                               set + program.substr(program.find(' ')) + " --out " + set + inside),
                   2, "lies in the data set");
  CHECK(!fs::exists(set + "/run"));
  expect_error(run_program("check_data", set + " --augment cifar"), 2, "--views");
  expect_error(run_program("pretrain", set + out + "-b 8 --steps-per-launch 65"), 2, "--steps-per-launch");
  expect_error(run_program("explain_loss", "--views 0"), 2, "--views");
  expect_error(run_program("make_toy_dataset", set + " --classes 1"), 2, "class");
}

// The training images of a set, by name.
std::vector<fs::path> training_images(const std::string& set) {
  std::vector<fs::path> images;
  for (const auto& entry : fs::recursive_directory_iterator(set + "/train"))
    if (entry.is_regular_file()) images.push_back(entry.path());
  std::sort(images.begin(), images.end());
  return images;
}

TEST_CASE("images that cannot be read are skipped, counted and named") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::vector<fs::path> images = training_images(set);
  write_file(images[0], "");                                    // empty
  write_file(images[9], read_bytes(images[9]).substr(0, 200));  // truncated
  write_file(images[17], "this is not a picture");              // mislabelled
  // A PNG header that claims 60000 x 60000 pixels.
  write_file(
      images[3],
      std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xea\x60\0\0\xea\x60\x08\x02\0\0\0\xc7\x0f\x3a\xa8", 33));
  const std::size_t before = folder_fingerprint(set);

  const std::string out = " --out " + (folder / "run").string() + tiny;
  const auto result = run_program("pretrain", set + out);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  const std::string listed = read_bytes(folder / "run/bad_images.tsv");
  for (const int bad : {0, 3, 9, 17})
    CHECK(listed.find(images[static_cast<std::size_t>(bad)].string()) != std::string::npos);
  CHECK(listed.find("60000") != std::string::npos);
  CHECK(result.output.find("4 images") != std::string::npos);

  expect_error(run_program("pretrain", set + out + "--overwrite --strict"), 3, "strict");
  expect_error(run_program("pretrain", set + out + "--overwrite --max-bad 2"), 3, "max-bad");
  CHECK(folder_fingerprint(set) == before);
}

TEST_CASE("--max-bad: a number, or a share of the images that is rounded down") {
  CHECK(accepted_bad_images("100", 7) == 100);
  CHECK(accepted_bad_images("0", 7) == 0);
  CHECK(accepted_bad_images("5%", 200) == 10);
  CHECK(accepted_bad_images("5%", 39) == 1);
  CHECK(accepted_bad_images("0.1%", 3000) == 3);
  CHECK(accepted_bad_images("0%", 7) == 0);
  CHECK(accepted_bad_images("100%", 7) == 7);
  for (const char* text : {"", "%", "-1", "-1%", "1.5", "101%", "5 %", "5%%", "nan%", "1e99999%", "many"}) {
    CAPTURE(text);
    CHECK(!accepted_bad_images(text, 7).has_value());
  }
}

TEST_CASE("--max-bad: images whose headers say enough end a run before its first step, and are listed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::vector<fs::path> images = training_images(set);  // 24
  write_file(images[0], "");
  write_file(images[9], read_bytes(images[9]).substr(0, 200));
  write_file(images[17], "this is not a picture");
  const std::string command = set + " --out " + run + tiny + "--max-bad ";
  for (const std::string limit : {"2", "5%", "12%"}) {  // 5 % is 1.2 images, 12 % is 2.88
    CAPTURE(limit);
    const auto result = run_program("pretrain", command + limit);
    expect_error(result, 3,
                 "error: 3 images could not be decoded, more than the limit of " +
                     std::string(limit == "5%" ? "1" : "2"));
    CHECK(says(result, run + "/bad_images.tsv lists all so far; raise --max-bad to accept more"));
    CHECK(!says(result, "epoch 1/1"));
    const std::string listed = read_bytes(run + "/bad_images.tsv");
    for (const std::size_t bad : {0, 9, 17}) CHECK(listed.find(images[bad].string()) != std::string::npos);
  }
  for (const std::string limit : {"3", "13%"})
    CHECK(run_program("pretrain", command + limit + " --overwrite").code == 0);
  const std::string encoder = read_bytes(run + "/encoder.safetensors");

  // A run that was to replace that one gives it back, and its list has another name.
  const auto refused = run_program("pretrain", command + "2 --overwrite");
  expect_error(refused, 3, run + "/bad_images.refused.tsv lists all so far");
  CHECK(read_bytes(run + "/encoder.safetensors") == encoder);
  CHECK(read_bytes(run + "/bad_images.refused.tsv") == read_bytes(run + "/bad_images.tsv"));
  CHECK(run_program("pretrain", command + "3 --overwrite").code == 0);
  CHECK(!fs::exists(run + "/bad_images.refused.tsv"));

  // The headers of these say nothing: the run ends when it meets them.
  for (const std::size_t bad : {0, 9, 17}) {
    const std::string whole = read_bytes(images[1]);
    write_file(images[bad], whole.substr(0, whole.size() - 100));
  }
  const std::string other = folder / "other";
  const auto late = run_program("pretrain", set + " --out " + other + tiny + "--max-bad 0");
  expect_error(late, 3, "error: 1 image could not be decoded, more than the limit of 0");
  CHECK(says(late, other + "/bad_images.tsv lists all so far"));
  CHECK(read_bytes(other + "/bad_images.tsv").find("rejected\ttruncated JPEG") != std::string::npos);
}

TEST_CASE("unreadable images: a line for each of the first three, a count after the epoch, no other warning") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::vector<fs::path> images = training_images(set);
  // The sixth image of the class stands in for the first five, so a fifth of the batch shows it.
  for (std::size_t bad = 0; bad < 5; ++bad) write_file(images[bad], "this is not a picture");
  const auto result = run_program("pretrain", set + " --out " + run +
                                                  " --device cpu --model resnet20 --image-size 32 -b 24 -j 1 "
                                                  "--knn-every 0 --epochs 2");
  CAPTURE(result.output);
  CHECK(result.code == 0);
  const auto at = [&](const std::string& text) { return result.output.find(text); };
  const auto announced = [&](std::size_t i) {
    return "warning: unreadable image " + images[i].string() + ": ";
  };
  for (const std::size_t i : {0, 1, 2}) CHECK(at(announced(i)) < at("epoch 1/2"));
  for (const std::size_t i : {3, 4}) CHECK(at(announced(i)) == std::string::npos);
  const std::size_t counted = at("5 images so far could not be read or are damaged; they are listed in " + run);
  CHECK(at("epoch 1/2") < counted);
  CHECK(counted < at("epoch 2/2"));
  CHECK(says(result, "\n5 images could not be read or are damaged; they are listed in " + run));
  CHECK(!says(result, "occur more than once"));
}

TEST_CASE("encoder files that are truncated, hostile or of another model are refused") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const std::string bytes = read_bytes(run + "/encoder.safetensors");
  const auto probe = [&](const std::string& encoder) {
    return run_program("linear_probe", set + " --encoder " + encoder + " --out " + (folder / "probe").string());
  };
  const std::string bad = folder / "bad.safetensors";
  expect_error(probe(folder / "none.safetensors"), 4, "none.safetensors");
  write_file(bad, bytes.substr(0, bytes.size() / 2));
  expect_error(probe(bad), 4, "bad.safetensors");
  write_file(bad, std::string("\xff\xff\xff\xff\xff\xff\xff\x7f") + bytes.substr(8));
  expect_error(probe(bad), 4, "bad.safetensors");
  write_file(bad, "");
  expect_error(probe(bad), 4, "bad.safetensors");
  // The file claims to be a larger model: the message names the tensors that differ.
  std::string lie = bytes;
  lie.replace(lie.find("resnet20"), 8, "resnet32");
  write_file(bad, lie);
  expect_error(probe(bad), 4, "layer1.3.conv1.weight");
  expect_error(probe(run + "/config.json"), 4, "config.json");
}

TEST_CASE("an existing run is neither mixed with another nor overwritten silently") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const std::string before = read_bytes(run + "/encoder.safetensors");
  expect_error(run_program("pretrain", set + " --out " + run + tiny + "--seed 9"), 2, "--overwrite");
  CHECK(read_bytes(run + "/encoder.safetensors") == before);
  CHECK(run_program("pretrain", set + " --out " + run + tiny + "--seed 9 --overwrite").code == 0);
  CHECK(read_bytes(run + "/encoder.safetensors") != before);
  expect_error(run_program("pretrain", set + " --out " + run + "/encoder.safetensors" + tiny), 2, "folder");
}

TEST_CASE("a full disk leaves the previous files whole") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const std::string encoder = read_bytes(run + "/encoder.safetensors"),
                    checkpoint = read_bytes(run + "/checkpoint.safetensors");
  // A file size limit replaces the full disk: 256 KiB, less than the encoder's 1.1 MB.
  fs::remove(run + "/config.json");
  const auto result = run_program_with(
      "ulimit -f 256;", "linear_probe",
      set + " --encoder " + run + "/encoder.safetensors --out " + run + "/probe --epochs 1 -b 8");
  CHECK(result.code == 0);  // its files are small
  const std::string target = folder / "full";
  const auto full = run_program_with("ulimit -f 256;", "pretrain", set + " --out " + target + tiny);
  expect_error(full, 6, "encoder.safetensors");
  CHECK(!fs::exists(target + "/encoder.safetensors"));
  for (const auto& entry : fs::directory_iterator(target)) CHECK(entry.path().extension() != ".tmp");
  CHECK(read_bytes(run + "/encoder.safetensors") == encoder);
  CHECK(read_bytes(run + "/checkpoint.safetensors") == checkpoint);
}

TEST_CASE("a full disk while saving keeps the checkpoint of the epoch before") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = " --model resnet20 --image-size 32 -b 8 -j 1 --knn-every 0 --epochs 40 ";
  run_until_checkpoint(set, run, flags);
  const std::string before = read_bytes(run + "/checkpoint.safetensors");
  const auto result = run_program_with("ulimit -f 64;", "pretrain", set + " --out " + run + flags + "--resume");
  expect_error(result, 6, "safetensors");
  CHECK(read_bytes(run + "/checkpoint.safetensors") == before);
  const SafetensorsFile checkpoint(run + "/checkpoint.safetensors");
  CHECK(checkpoint.checksum_matches());
  CHECK(checkpoint.read<float>(checkpoint.at("conv1.weight")).size() == 16 * 3 * 3 * 3);
}

TEST_CASE("a loss that is not finite stops the run before an update is made from it") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const auto result = run_program(
      "pretrain", set + " --out " + (folder / "run").string() +
                      " --model resnet20 --image-size 32 -b 8 --epochs 3 --lr 1e30 --warmup-epochs 0");
  expect_error(result, 7, "step ");
  CHECK(result.output.find("batch ") != std::string::npos);
}

TEST_CASE("values that would be taken for others are refused, and names with line ends cost one line") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const char* flag : {"--seed -1", "--seed 99999999999999999999", "--max-bad -1", "--max-bad 101%",
                           "--lr-floor 2", "--epochs -1", "--warmup-epochs 1e30"}) {
    CAPTURE(flag);
    const auto result = run_program("pretrain", set + " --out " + (folder / "run").string() + tiny + flag);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, std::string(flag).substr(0, std::string(flag).find(' '))));
  }
  CHECK(run_program("make_toy_dataset", "''").code == 2);
  CHECK(run_program("pack_dataset", set + " ''").code == 2);
  CHECK(run_program("pretrain", set + " --out ''" + tiny).code == 2);

  std::filesystem::create_directory(set + "/train/new\nline");
  write_bytes(set + "/train/new\nline/bad\tone\n.jpg", "no picture");
  const auto strict = run_program("pretrain", set + " --strict --out " + (folder / "run").string() + tiny);
  CHECK(strict.code == 3);
  CHECK(is_one_line_error(strict));
}

}  // namespace
}  // namespace kindred
