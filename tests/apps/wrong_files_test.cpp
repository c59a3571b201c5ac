// Links in a circle, pipes, devices and files of another kind, where files of weights, lists, shards and sets are expected.
#include "../errors.h"
#include "programs.h"

#include <kindred/apps/evaluation/given_weights.h>

#include <sys/stat.h>  // defines: mkfifo
#include <unistd.h>    // defines: geteuid, seteuid

#include <filesystem>
#include <string>

namespace kindred {
namespace {

namespace fs = std::filesystem;

void expect_refusal(const ProgramResult& result, int code, const std::string& line) {
  CAPTURE(result.output);
  CHECK(result.code == code);
  CHECK(is_one_line_error(result));
  CHECK(says(result, line));
}

// A link to itself, one to nothing, and a pipe.
struct OddFiles : TemporaryFolder {
  std::string circle = *this / "circle", dead = *this / "dead", fifo = *this / "fifo";
  OddFiles() {
    fs::create_symlink("circle", circle);
    fs::create_symlink("gone", dead);
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  }
};

TEST_CASE(
    "wrong files: --labels, --shards and DIR say what is expected in the place of links, pipes and devices") {
  const OddFiles folder;
  const std::string set = draw_tiny_set(folder), out = " --out " + (folder / "run").string() + tiny;
  const auto list = [&](const std::string& labels, const std::string& what) {
    expect_refusal(run_program("pretrain", set + out + "--labels " + labels), 3,
                   "error: " + labels + ": " + what + "; expected a CSV file with the columns path,label\n");
  };
  list(folder.circle, "a link to circle, which leads in a circle");
  list(folder.dead, "a link to gone, which is not there");
  list(folder.fifo, "is not a regular file");
  list("/dev/null", "is not a regular file");
  const auto shard = [&](const std::string& text, const std::string& what) {
    expect_refusal(run_program("pretrain", "--shards " + text + out), 3,
                   "error: " + text + ": " + what +
                       "; give a tar file, a range of them such as x-{000..127}.tar, or pipe:COMMAND\n");
  };
  shard(folder.circle, "a link to circle, which leads in a circle");
  shard(folder.fifo, "is not a regular file");
  shard("/dev/null", "is not a regular file");
  for (const std::string program : {"pretrain", "check_data"})
    expect_refusal(
        run_program(program, folder.circle + (program == "pretrain" ? out : "")), 3,
        "error: " + folder.circle +
            ": a link to circle, which leads in a circle; give the folder that holds train/, or a file "
            "that pack_dataset made\n");
  CHECK(!fs::exists(folder / "run"));
}

TEST_CASE("wrong files: a link in a circle in the place of weights, with the flag and what may be given") {
  const OddFiles folder;
  const std::string set = draw_tiny_set(folder), npz = " --out " + (folder / "f.npz").string();
  const std::string leads = " " + folder.circle + ": a link to circle, which leads in a circle; ";
  const std::string advice = "give the --out folder of a pretrain run, a checkpoint, or a .safetensors file\n";
  for (const std::string flag : {"--encoder", "--weights"})
    expect_refusal(run_program("embed", set + npz + " " + flag + " " + folder.circle), 4,
                   "error: " + flag + leads + advice);
  expect_refusal(run_program("export", folder.circle + " --format torchvision --out " + folder.fifo + "s"), 4,
                 "error: SOURCE" + leads + advice);
  CHECK(
      test::error_of([&] { classifier_file(folder.circle, false); }).starts_with("--classifier" + leads + "`"));
}

TEST_CASE("wrong files: an encoder or the folder of a run that may not be read") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run", file = run / encoder_name;
  fs::permissions(folder.path, fs::perms::all);
  fs::create_directory(run);
  write_bytes(file, "some bytes");
  const auto refusal = [](const fs::path& given) {
    constexpr uid_t nobody = 65534;
    const bool is_root = ::geteuid() == 0;  // root may read everything
    REQUIRE((!is_root || ::seteuid(nobody) == 0));
    std::string text;
    try {
      weights_file("--encoder", given, false);
    } catch (const Error& error) {
      text = error.what();
    }
    REQUIRE((!is_root || ::seteuid(0) == 0));
    return text;
  };
  fs::permissions(run, fs::perms::all);
  fs::permissions(file, fs::perms::none);
  const std::string begin =
      "--encoder " + file.string() +
      " cannot be read: Permission denied; check its permissions, or give the --out folder";
  CHECK(refusal(file).starts_with(begin));
  CHECK(refusal(run).starts_with(begin));
  fs::permissions(file, fs::perms::owner_read | fs::perms::group_read | fs::perms::others_read);
  CHECK(refusal(file).empty());
  fs::permissions(run, fs::perms::none);
  CHECK(refusal(run).starts_with(
      "--encoder " + run.string() +
      ": what is in it cannot be read: Permission denied; check its permissions, or "));
  fs::permissions(run, fs::perms::owner_all);
}

TEST_CASE("wrong files: a classifier in the place of an encoder names the encoder") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  REQUIRE(run_program("pretrain", set + " --device cpu --loss cross_entropy --out " + run + tiny).code == 0);
  const std::string classifier = run + "/classifier.safetensors", encoder = run + "/encoder.safetensors";
  const std::string what = ": it is a classifier and holds no encoder; give ";
  for (const std::string flag : {"--encoder", "--weights"})
    expect_refusal(run_program("embed", set + " --out " + run + ".npz " + flag + " " + classifier), 4,
                   "error: " + flag + " " + classifier + what + encoder + "\n");
  CHECK(weights_file("--encoder", encoder, false) == encoder);
  // Elsewhere its result may say which.
  const std::string probe = folder / "probe";
  fs::create_directory(probe);
  fs::copy_file(classifier, probe + "/classifier.safetensors");
  const auto advice = [&] {
    return test::error_of([&] { weights_file("--weights", probe + "/classifier.safetensors", false); });
  };
  CHECK(advice().ends_with(what + "the encoder.safetensors of its run"));
  write_bytes(probe + "/result.json", "{\"encoder\": \"" + encoder + "\"}");
  CHECK(advice().ends_with(what + encoder));
}

TEST_CASE("wrong files: classify names the first file that is no image in its last line, and says why") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", text = folder / "text.jpg";
  REQUIRE(run_program("pretrain", set + " --device cpu --loss cross_entropy --out " + run + tiny).code == 0);
  write_bytes(text, "hello\n");
  const std::string with = " --device cpu -j 1 --encoder " + run + " --classifier " + run;
  const std::string why = text + ": not an image file of a known format\n";
  expect_refusal(run_program("classify", text + with), 3, "error: 1 of 1 image could not be read: " + why);
  write_bytes(folder / "zext.jpg", "hello\n");
  expect_refusal(run_program("classify", text + " " + (folder / "zext.jpg").string() + with), 3,
                 "error: 2 of 2 images could not be read, for example " + why);
}

TEST_CASE("wrong files: --resume with an empty value is named, and --help on a full device ends with code 6") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string empty = "error: --resume '': the value is empty; write --resume (see --help)\n";
  expect_refusal(run_program("pretrain", "--resume ''"), 2, empty);
  expect_refusal(run_program("pretrain", set + " --resume '' --out " + (folder / "run").string()), 2, empty);
  const std::string errors = folder / "errors.txt";
  for (const std::string program : {"pretrain", "embed", "kindred"})
    for (const std::string flag : {"--help", "--version"}) {
      CAPTURE(program + " " + flag);
      // The comment ends the line before standard error would be led to the full device too.
      const auto result = run_program(program, flag + " 2>" + errors + " >/dev/full #");
      CHECK(result.code == 6);
      CHECK(read_bytes(errors) ==
            program +
                ": error: standard output: cannot write to file: No space left on device; "
                "send it to another place\n");
      CHECK(run_program(program, flag).code == 0);
    }
}

}  // namespace
}  // namespace kindred
