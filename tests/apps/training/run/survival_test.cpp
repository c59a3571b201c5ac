// Runs that are killed, interrupted, or meet a failing disk, as a user sees them.
#include "../../programs.h"

#include <fmt/core.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

#include <fcntl.h>     // defines: open
#include <signal.h>    // defines: SIGINT and others
#include <sys/file.h>  // defines: flock
#include <unistd.h>    // defines: geteuid, close

#include <algorithm>
#include <random>
#include <sstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string survivor = " --model resnet20 --image-size 32 -b 8 --knn-every 5 ";

// scripts/processes/hundred_kills.py does the same a hundred times.
TEST_CASE("a run that is killed at random moments ends with the same bytes") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", cut = folder / "cut";
  const std::string flags = survivor + "--epochs 12 --seed 3 --checkpoint-every 1 -j ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags + "1").code == 0);
  std::mt19937 random(7);
  int kills = 0;
  for (double most = 0.4;; most *= 1.08) {  // a slow build gets there too
    const double seconds = std::uniform_real_distribution<>(0.05, most)(random);
    const auto result =
        run_program_with(fmt::format("timeout -s KILL {:.3f} env", seconds), "pretrain",
                         set + " --out " + cut + flags + std::to_string(kills % 3) + " --resume");
    CAPTURE(result.output);
    if (result.code == 0) break;
    REQUIRE(result.code == 137);
    REQUIRE(++kills < 60);
  }
  CHECK(kills >= 1);
  for (const char* name : {"/encoder.safetensors", "/best_encoder.safetensors"})
    CHECK(read_bytes(cut + name) == read_bytes(whole + name));
  CHECK(Checkpoint(fs::path(cut) / "checkpoint.safetensors").run().metrics.size() == 12);
}

TEST_CASE("a signal ends the step, saves, and the run goes on from there") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole";
  const std::string flags = survivor + "--epochs 40 --seed 5 -j 1 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  for (const char* signal : {"INT", "TERM", "USR1", "HUP"}) {
    const std::string run = folder / signal;
    // The tests themselves may have been started by nohup.
    const auto result = run_program_with(fmt::format("timeout -s {} 0.6 env --default-signal=HUP", signal),
                                         "pretrain", set + " --out " + run + flags);
    CAPTURE(result.output);
    if (result.code == 0) {
      MESSAGE("the run was over before the signal came");
      continue;
    }
    CHECK(result.code == 124);  // timeout's code if it sent a signal
    if (says(result, "no step was done, and nothing was saved")) {
      MESSAGE("the signal came before the first step");
      continue;
    }
    CHECK(says(result, fmt::format("SIG{}: a checkpoint of step", signal)));
    CHECK(run_program("pretrain", set + " --out " + run + flags + "--resume").code == 0);
    CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
  }
  // The program's own exit code.
  const auto result =
      run_program_with("timeout --preserve-status -s TERM 0.6 env", "pretrain",
                       set + " --out " + (folder / "code").string() + survivor + "--epochs 4000");
  CHECK(result.code == 8);
}

TEST_CASE("a signal during the nearest-neighbour figures: the epoch is finished by the run that goes on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 40), whole = folder / "whole";
  const fs::path last = set + "/val/" + open_dataset(set, Split::train)->class_names().front();
  const std::string image = read_bytes(last / "00000.jpg");
  for (int i = 2; i < 300; ++i) write_bytes(last / fmt::format("{:05}.jpg", i), image);  // batches of 128
  const std::string flags =
      " --device cpu --model resnet20 --image-size 32 -b 8 -j 1 --epochs 2 --knn-every 1 --online-probe ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  const auto lines = [](const std::string& run) {
    std::istringstream text(read_bytes(run + "/metrics.jsonl"));
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(text, line);) {
      all.push_back(parse_json(line));
      for (const char* timing : {"views_per_second", "step_views_per_second", "data_wait", "seconds", "time"})
        CHECK(all.back().erase(timing) == 1);
    }
    return all;
  };
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string run = folder / std::to_string(signal);
    // A new run opens these images before its first step too, and one that goes on does not.
    run_until_checkpoint(set, run, flags + "--checkpoint-every 1");
    const auto result =
        run_until_it_opens(last, signal, "pretrain", set + " --out " + run + flags + "--resume");
    CAPTURE(result.output);
    CHECK(result.code == 8);
    CHECK(says(result, signal == SIGINT ? "SIGINT: a checkpoint of step 15 was saved"
                                        : "SIGTERM: a checkpoint of step 15 was saved"));
    // All 15 steps of the epoch are done, but the epoch is not finished.
    const Checkpoint checkpoint(run + "/checkpoint.safetensors");
    CHECK(checkpoint.run().batches_done == 15);
    CHECK(checkpoint.run().epochs_done == 0);
    CHECK(checkpoint.run().metrics.empty());
    const auto resumed = run_program("pretrain", set + " --out " + run + flags + "--resume");
    CAPTURE(resumed.output);
    CHECK(resumed.code == 0);
    CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
    CHECK(lines(run) == lines(whole));
  }
}

TEST_CASE("SIGHUP saves as well, and a run that nohup started goes on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string images = set + "/val/" + open_dataset(set, Split::train)->class_names().front();
  const std::string flags = " --model resnet20 --image-size 32 -b 8 -j 1 --knn-every 1 --epochs ";
  // A new run opens these images before its first step too, when there is nothing to save.
  run_until_checkpoint(set, folder / "a", flags + "400 --checkpoint-every 1");
  const auto hung_up = run_until_it_opens(
      images, SIGHUP, "pretrain",
      set + " --out " + (folder / "a").string() + flags + "400 --checkpoint-every 1 --resume",
      "--default-signal=HUP");
  CAPTURE(hung_up.output);
  CHECK(hung_up.code == 8);
  CHECK(says(hung_up, "SIGHUP: a checkpoint of step "));
  CHECK(fs::exists(folder / "a/checkpoint.safetensors"));
  const auto kept =
      run_until_it_opens(images, SIGHUP, "pretrain", set + " --out " + (folder / "b").string() + flags + "3",
                         "--ignore-signal=HUP");
  CAPTURE(kept.output);
  CHECK(kept.code == 0);
  CHECK(!says(kept, "SIGHUP"));
  CHECK(says(kept, "epoch 3/3"));
}

TEST_CASE("a pipe gets every line at once: a log shows what happened before the program was killed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string images = set + "/train/" + open_dataset(set, Split::train)->class_names().back();
  const auto result = run_until_it_opens(
      images, SIGKILL, "pretrain", set + " --out " + (folder / "run").string() + survivor + "--epochs 4000");
  CAPTURE(result.output);
  CHECK(result.code == 137);
  CHECK(says(result, "device cpu ("));
  // Every write to /dev/full fails, as on a full disk.
  CHECK(run_program_with("exec >/dev/full;", "check_data", set + " --no-pictures").code == 6);
}

TEST_CASE(
    "--resume: without a run it starts one, a finished run ends with 0, a damaged checkpoint is skipped") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = set + " --out " + run + survivor + "--epochs 3 -j 1 --checkpoint-every 2 --resume";
  REQUIRE(run_program("pretrain", flags).code == 0);
  const std::string encoder = read_bytes(run + "/encoder.safetensors");
  const auto again = run_program("pretrain", flags);
  CHECK(again.code == 0);
  CHECK(says(again, "finished already"));
  CHECK(read_bytes(run + "/encoder.safetensors") == encoder);
  // 9 steps in all: the last checkpoints are of steps 8 and 9.
  fs::resize_file(run + "/checkpoints/step-000000009.safetensors", 5000);
  const auto resumed = run_program("pretrain", flags);
  CAPTURE(resumed.output);
  CHECK(resumed.code == 0);
  CHECK(says(resumed, "warning: skipped: "));
  CHECK(says(resumed, "continuing from " + run + "/checkpoints/step-000000008.safetensors: step 8"));
  CHECK(read_bytes(run + "/encoder.safetensors") == encoder);
}

TEST_CASE("--resume RUN: a line says that there is no run yet, because the path may be mistyped") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", flags = tiny + "--knn-every 0 ";
  const auto named = run_program("pretrain", set + flags + "--resume=" + run);
  CAPTURE(named.output);
  CHECK(named.code == 0);
  CHECK(says(named, run + " holds no run yet; a new one begins there\n"));
  CHECK(!says(run_program("pretrain", set + flags + "--resume=" + run), "holds no run yet"));
  CHECK(!says(run_program("pretrain", set + flags + "--resume --out " + (folder / "new").string()),
              "holds no run yet"));
}

TEST_CASE("--resume: changed settings and data are listed and refused, unless they are allowed") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = set + " --out " + run + survivor + "-j 1 ";
  REQUIRE(run_program("pretrain", flags + "--epochs 2").code == 0);
  const auto changed = run_program("pretrain", flags + "--epochs 3 --lr 0.02 --resume");
  CHECK(changed.code == 2);
  CHECK(is_one_line_error(changed));
  CHECK(says(changed, "epochs was 2, now 3; lr was 0.1, now 0.02"));
  const auto allowed = run_program("pretrain", flags + "--epochs 3 --lr 0.02 --resume --allow-change");
  CAPTURE(allowed.output);
  CHECK(allowed.code == 0);
  CHECK(says(allowed, "changed: lr was 0.1, now 0.02"));
  CHECK(says(allowed, "epoch 3/3"));
  fs::remove(fs::directory_iterator(fs::path(set) / "train")->path() / "00003.jpg");
  const auto other_data = run_program("pretrain", flags + "--epochs 3 --lr 0.02 --resume");
  CHECK(other_data.code == 2);
  CHECK(says(other_data, "the data set had 24 training images, now 23"));
  CHECK(run_program("pretrain", flags + "--epochs 4 --lr 0.02 --resume --allow-change").code == 0);
  // An epoch has fewer steps now, so the run ends at a smaller one than that of an earlier checkpoint.
  CHECK(Checkpoint(run + "/checkpoint.safetensors").run().steps_done == 8);
  CHECK(
      says(run_program("pretrain", flags + "--epochs 4 --lr 0.02 --resume"), "the run is finished already\n"));
}

TEST_CASE("--on-nonfinite skip leaves such steps out") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string flags =
      " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 3 --lr 1e30 --warmup-epochs 0 ";
  const auto stopped = run_program("pretrain", set + " --out " + (folder / "stop").string() + flags);
  CHECK(stopped.code == 7);
  CHECK(is_one_line_error(stopped));
  CHECK(fs::exists(folder / "stop/non_finite.json"));
  const auto skipped =
      run_program("pretrain", set + " --out " + (folder / "skip").string() + flags + "--on-nonfinite skip");
  CAPTURE(skipped.output);
  CHECK(skipped.code == 7);  // only the first step of all was an update
  CHECK(says(skipped, "the run has diverged"));
  CHECK(says(skipped, "the step is skipped"));
  CHECK(read_bytes(folder / "skip/metrics.jsonl").find("skipped_steps") != std::string::npos);
}

TEST_CASE("a small disk that fills: training goes on, the last good checkpoint stays, the end says so") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), disk = folder / "disk", run = disk + "/run";
  fs::create_directories(disk);
  if (::geteuid() != 0 ||
      std::system(("mount -t tmpfs -o size=12m none " + disk + " 2>/dev/null").c_str()) != 0) {
    MESSAGE("skipped: mounting a small file system needs root");
    std::puts("skipped: mounting a small file system needs root");
    return;
  }
  const std::string flags = survivor + "-j 1 --keep-checkpoints 1 --epochs 40 ";
  run_until_checkpoint(set, run, flags);
  const std::int64_t steps = Checkpoint(run + "/checkpoint.safetensors").run().steps_done;
  CHECK(std::system(("head -c 12000000 /dev/zero > " + disk + "/filler 2>/dev/null").c_str()) != 0);
  const auto full = run_program("pretrain", set + " --out " + run + flags + "--resume");
  CAPTURE(full.output);
  CHECK(full.code == 6);
  CHECK(says(full, "epoch 40/40"));
  CHECK(says(full, "the disk is full"));
  CHECK(Checkpoint(run + "/checkpoint.safetensors").run().steps_done == steps);
  fs::remove(disk + "/filler");
  CHECK(run_program("pretrain", set + " --out " + run + flags + "--resume").code == 0);
  CHECK(std::system(("umount " + disk).c_str()) == 0);
}

TEST_CASE(
    "a disk that is full at the first save: with space again, --resume begins anew and ends with the same "
    "bytes") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", run = folder / "run";
  const std::string flags = survivor + "-j 1 --epochs 2 ";
  REQUIRE(run_program("pretrain", set + " --out " + whole + flags).code == 0);
  // Room for the encoder, and none for the checkpoint. A shell counts in blocks of 512 bytes.
  const auto bytes = [&](const char* name) { return fs::file_size(fs::path(whole) / name); };
  const auto room = (bytes("encoder.safetensors") + bytes("checkpoint.safetensors")) / 2 / 512;
  const std::string limit = fmt::format("ulimit -f {};", room), command = set + " --out " + run + flags;
  const auto full = run_program_with(limit, "pretrain", command);
  CAPTURE(full.output);
  CHECK(full.code == 6);
  REQUIRE(fs::exists(run + "/encoder.safetensors"));
  REQUIRE(!fs::exists(run + "/checkpoint.safetensors"));

  // A run that was to replace it, and had no room either, brings it back as it was.
  const std::size_t before = folder_fingerprint(run);
  CHECK(run_program_with("ulimit -f 64;", "pretrain", command + "--overwrite").code == 6);
  CHECK(folder_fingerprint(run) == before);

  const auto refused = run_program("pretrain", command);
  CHECK(refused.code == 2);
  CHECK(says(refused, "--resume continues a run"));
  const auto anew = run_program("pretrain", command + "--resume");
  CAPTURE(anew.output);
  CHECK(anew.code == 0);
  CHECK(says(anew, "no usable checkpoint in " + run + ": the run starts from the beginning"));
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));
  CHECK(json_lines(run + "/metrics.jsonl").size() == 2);
  CHECK(!fs::exists(run + "/.kindred-first-save"));
}

TEST_CASE("--overwrite: a run that another process is at stays whole") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  run_until_checkpoint(set, run, survivor + "--epochs 4000 --checkpoint-every 1 ");
  const int lock = ::open(run.c_str(), O_RDONLY | O_DIRECTORY);  // like a process that trains into this folder
  REQUIRE(::flock(lock, LOCK_EX | LOCK_NB) == 0);
  const std::size_t before = folder_fingerprint(run);
  const auto refused = run_program("pretrain", set + " --out " + run + survivor + "--epochs 1 --overwrite");
  ::close(lock);
  CHECK(refused.code == 2);
  CHECK(says(refused, "another process is training into it"));
  CHECK(folder_fingerprint(run) == before);
}

TEST_CASE(
    "--resume: checkpoints without config.json are kept, and a run that starts anew writes its lines anew") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = set + " --out " + run + survivor + "--epochs 2 ";
  REQUIRE(run_program("pretrain", flags).code == 0);
  const std::string config = read_bytes(run + "/config.json");

  // A finished run does not change, whatever is allowed.
  CHECK(run_program("pretrain", set + " --out " + run + survivor + "--epochs 1 --resume --allow-change").code ==
        0);
  CHECK(read_bytes(run + "/config.json") == config);

  fs::remove(run + "/config.json");
  const std::size_t before = folder_fingerprint(run);
  const auto refused = run_program("pretrain", flags + "--resume");
  CHECK(refused.code == 4);
  CHECK(says(refused, "no config.json"));
  CHECK(folder_fingerprint(run) == before);

  write_bytes(run + "/config.json", config);
  fs::remove_all(run + "/checkpoints");
  write_bytes(run + "/checkpoint.safetensors", "spoilt");
  const std::size_t spoilt = folder_fingerprint(run);
  const auto kept = run_program("pretrain", flags + "--resume");
  CAPTURE(kept.output);
  CHECK(kept.code == 2);
  CHECK(is_one_line_error(kept));
  CHECK(says(kept, "--resume: " + run +
                       " has no usable checkpoint, and its encoder is kept; --overwrite begins anew"));
  CHECK(folder_fingerprint(run) == spoilt);

  // As a kill leaves it inside the first save, after the encoder and before the checkpoint.
  fs::remove(run + "/checkpoint.safetensors");
  CHECK(run_program("pretrain", flags + "--resume").code == 2);
  write_bytes(run + "/.kindred-first-save", "");
  const auto anew = run_program("pretrain", flags + "--resume");
  CAPTURE(anew.output);
  CHECK(anew.code == 0);
  CHECK(says(anew, "starts from the beginning"));
  const std::string lines = read_bytes(run + "/metrics.jsonl");
  CHECK(std::count(lines.begin(), lines.end(), '\n') == 2);
  CHECK(!fs::exists(run + "/.kindred-first-save"));

  // Without an encoder nothing is lost.
  fs::remove_all(run + "/checkpoints");
  fs::remove(run + "/encoder.safetensors");
  fs::remove(run + "/best_encoder.safetensors");
  write_bytes(run + "/checkpoint.safetensors", "spoilt");
  CHECK(says(run_program("pretrain", flags + "--resume"), "starts from the beginning"));
}

TEST_CASE("--resume: a folder of results without a run is refused, and stays as it is") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), keep = folder / "keep";
  fs::create_directories(keep);
  for (const char* name :
       {"encoder.safetensors", "best_encoder.safetensors", "classifier.safetensors", "result.json"})
    write_bytes(fs::path(keep) / name, "kept");
  const std::size_t before = folder_fingerprint(keep);
  for (const std::string& flags : {"--resume=" + keep, "--resume --out " + keep}) {
    const auto refused = run_program("pretrain", set + tiny + flags);
    CAPTURE(refused.output);
    CHECK(refused.code == 2);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, "it holds results already, but neither a checkpoint nor the config.json of a run"));
    CHECK(says(refused, "--overwrite"));
    CHECK(folder_fingerprint(keep) == before);
  }
}

}  // namespace
}  // namespace kindred
