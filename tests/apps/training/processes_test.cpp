// Runs of several processes as a user starts them: they train what one process trains, they resume each other's runs with
// any number of processes, and whatever ends one of them ends all.
#include "../processes/run_processes.h"
#include "../programs.h"

#include <doctest/doctest.h>
#include <fmt/core.h>
#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/data/sets/dataset.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/engine/files/safetensors.h>

#include <signal.h>  // defines: SIGINT and others

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

// 24 images, so three steps an epoch. A network of this size makes a hundredth of a gradient out of the rounding of f32, and
// more with every step at a high rate; so the rate is low. Then weights move by 5e-4 of their norm in six steps, and those of
// two runs are ten times closer; a gradient that is twice as large moves them by as much again. Exact sums are compared in
// f64 by shared_steps_test.cpp.
const std::string
    one_step =
        " --device cpu --model resnet20 --image-size 32 -b 8 -j 1 --seed 3 --lr 0.0003 --warmup-epochs 0 ",
    two_epochs = one_step + "--epochs 2 ";
constexpr double rounding = 5e-5;  // relative

std::string with_processes(int count) {
  return count > 1 ? fmt::format("--processes {} ", count) : "";
}

std::vector<double> losses_in(const std::string& run) {
  std::vector<double> losses;
  for (const nlohmann::json& line : json_lines(run + "/metrics.jsonl"))
    losses.push_back(line.at("loss").get<double>());
  return losses;
}

std::vector<float> weights_in(const std::string& run) {
  const SafetensorsFile file(run + "/encoder.safetensors");
  std::vector<float> all;
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.dtype != "F32") continue;
    const std::vector<float> values = file.read<float>(entry);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

// The norm of the difference, in units of the norm of one of them.
double distance(const std::vector<float>& one, const std::vector<float>& other) {
  REQUIRE(one.size() == other.size());
  double apart = 0, length = 0;
  for (std::size_t i = 0; i < one.size(); ++i) {
    apart += std::pow(static_cast<double>(one[i]) - other[i], 2);
    length += std::pow(static_cast<double>(one[i]), 2);
  }
  REQUIRE(length > 0);
  return std::sqrt(apart / length);
}

void check_same_training(const std::string& run, const std::string& other) {
  const std::vector<double> losses = losses_in(run), others = losses_in(other);
  REQUIRE(losses.size() == others.size());
  REQUIRE(!losses.empty());
  for (std::size_t epoch = 0; epoch < losses.size(); ++epoch)
    CHECK(losses[epoch] == doctest::Approx(others[epoch]).epsilon(rounding));
  CHECK(distance(weights_in(run), weights_in(other)) < rounding);
}

std::size_t times_said(const ProgramResult& result, const std::string& text) {
  std::size_t count = 0;
  for (auto at = result.output.find(text); at != std::string::npos; at = result.output.find(text, at + 1))
    ++count;
  return count;
}

ProgramResult trained(const std::string& set, const std::string& run, const std::string& flags) {
  ProgramResult result = run_program("pretrain", set + " --out " + run + flags);
  CAPTURE(result.output);
  REQUIRE(result.code == 0);
  return result;
}

TEST_CASE("processes: two and four train what one does, and say how many they are") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), one = folder / "one";
  const auto alone = trained(set, one, two_epochs);
  CHECK(alone.output.starts_with("device "));
  CHECK(!json_file(one + "/config.json").contains("processes"));
  CHECK(losses_in(one).at(0) != losses_in(one).at(1));
  for (const int count : {2, 4}) {
    CAPTURE(count);
    const std::string run = folder / std::to_string(count);
    const auto result = trained(set, run, two_epochs + with_processes(count));
    CAPTURE(result.output);
    CHECK(result.output.starts_with(fmt::format("processes: {}", count)));
    CHECK(says(result,
               fmt::format("each of {} processes trains on {} of a batch's 8 images\n", count, 8 / count)));
    CHECK(times_said(result, "epoch 2/2  loss") == 1);  // the first process alone prints
    CHECK(times_said(result, "\nencoder: ") == 1);
    CHECK(json_file(run + "/config.json").at("processes") == count);
    for (const nlohmann::json& line : json_lines(run + "/metrics.jsonl")) CHECK(line.at("processes") == count);
    check_same_training(run, one);
    for (const auto& entry : fs::directory_iterator(run))
      CHECK(fs::exists(fs::path(one) / entry.path().filename()));
  }
}

TEST_CASE("processes: whatever the loss and the batch are made of") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const std::string flags :
       {"--loss simclr --queue 32", "--momentum-encoder 0.9 --queue 16 --online-probe",
        "--micro-batch 2 --batch-norm-scope full --optimizer lars", "--loss cross_entropy --knn-every 1",
        "--loss triplet --sampling inverse-frequency --per-class 2 --on-nonfinite skip"}) {
    CAPTURE(flags);
    const std::string one = folder / "one", two = folder / "two", more = " --overwrite " + flags + " ";
    trained(set, one, two_epochs + more);
    trained(set, two, two_epochs + more + with_processes(2));
    check_same_training(two, one);
  }
}

TEST_CASE("processes: own batch norms and rounded gradients are asked for, and are not what one process does") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), one = folder / "one", off = folder / "off",
                    bf16 = folder / "bf16";
  trained(set, one, two_epochs);
  const auto own = trained(set, off, two_epochs + with_processes(2) + "--sync-batch-norm off");
  CHECK(says(own, "--sync-batch-norm off: a batch norm sees the 4 images of its own process"));
  CHECK(json_file(off + "/config.json").at("sync_batch_norm") == false);
  CHECK(distance(weights_in(off), weights_in(one)) > 2 * rounding);
  trained(set, bf16, two_epochs + with_processes(2) + "--gradient-wire bf16");
  CHECK(json_file(bf16 + "/config.json").at("gradient_wire") == "bf16");
  const double apart = distance(weights_in(bf16), weights_in(one));
  CHECK(apart > 0);
  CHECK(apart < 2 * rounding);  // eight bits of each gradient
  // A run does not go on with another choice unnoticed.
  const auto changed =
      run_program("pretrain", set + " --out " + off + two_epochs + with_processes(2) + "--resume");
  CHECK(changed.code == 2);
  CHECK(is_one_line_error(changed));
  CHECK(says(changed, "sync_batch_norm was false, now it is not given"));
}

TEST_CASE("processes: a run that was killed goes on with any number of them") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole",
                    whole_of_two = folder / "whole_of_two";
  // More steps, at a rate at which rounding still grows no faster.
  const std::string flags = one_step + "--lr 0.00003 --epochs 8 --checkpoint-every 1 ";
  trained(set, whole, flags);
  trained(set, whole_of_two, flags + with_processes(2));
  check_same_training(whole_of_two, whole);
  struct Numbers {
    int first, then;
  };
  for (const Numbers& count : {Numbers{2, 1}, Numbers{1, 4}, Numbers{2, 2}}) {
    CAPTURE(count.first);
    CAPTURE(count.then);
    const std::string run = folder / fmt::format("from_{}_to_{}", count.first, count.then);
    run_until_checkpoint(set, run, flags + with_processes(count.first));
    CHECK(Checkpoint(run + "/checkpoint.safetensors").run().epochs_done < 8);
    const auto resumed = trained(set, run, flags + with_processes(count.then) + "--resume");
    CHECK(says(resumed, "continuing from "));
    CHECK(!says(resumed, "changed: "));
    check_same_training(run, whole);
    // With the same number to the byte.
    if (count.first == count.then)
      CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole_of_two + "/encoder.safetensors"));
  }
}

// Starts two processes by hand. Each first runs `script`, which knows its rank as $OMPI_COMM_WORLD_RANK, in `folder`.
ProgramResult run_two_by_hand(const TemporaryFolder& folder, const std::string& script,
                              const std::string& arguments, const std::string& meanwhile = "") {
  const std::string place = folder / "place.sh";
  write_bytes(place, script + "\nexec \"$@\"\n");
  return run_program_with(
      fmt::format("cd {}; {} OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "
                  "OMPI_MCA_btl_vader_single_copy_mechanism=none mpirun --oversubscribe -n 2 sh {} env",
                  folder.path.string(), meanwhile, place),
      "pretrain", arguments);
}

TEST_CASE(
    "processes: a signal to the run, or to any of them, stops all at the same step, and the run goes on") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), whole = folder / "whole", run = folder / "run";
  const std::string flags = two_epochs + "--knn-every 1 ";
  trained(set, whole, flags + with_processes(2));
  const std::string images = set + "/val/" + open_dataset(set, Split::train)->class_names().front();
  const auto stopped =
      run_until_it_opens(images, SIGINT, "pretrain", set + " --out " + run + flags + with_processes(2));
  CAPTURE(stopped.output);
  CHECK(stopped.code == 8);
  // The images are opened before the first step for the first time. If the signal comes then, nothing is left.
  const bool had_begun = says(stopped, "SIGINT: a checkpoint of step ");
  CHECK(had_begun !=
        says(stopped, "SIGINT: no step was done, and nothing was saved; the same command begins anew\n"));
  CHECK(fs::exists(run) == had_begun);
  trained(set, run, flags + with_processes(2) + "--resume");
  CHECK(read_bytes(run + "/encoder.safetensors") == read_bytes(whole + "/encoder.safetensors"));

  // To rank 1 alone, when the run has saved.
  const std::string by_hand = folder / "by_hand";
  const auto one_signalled = run_two_by_hand(
      folder, fmt::format("echo $$ > {}/rank_$OMPI_COMM_WORLD_RANK", folder.path.string()),
      set + " --out " + by_hand + one_step + "--epochs 4000 --checkpoint-every 1",
      fmt::format("(for i in $(seq 3000); do [ -f {}/checkpoint.safetensors ] && break; sleep 0.02; done; "
                  "kill -TERM $(cat {}/rank_1)) &",
                  by_hand, folder.path.string()));
  CAPTURE(one_signalled.output);
  CHECK(one_signalled.code == 8);
  CHECK(says(one_signalled, "SIGTERM: a checkpoint of step "));
  CHECK(times_said(one_signalled, "SIGTERM: ") == 1);
  CHECK(Checkpoint(by_hand + "/checkpoint.safetensors").run().steps_done > 0);
}

TEST_CASE("processes: numbers of them that cannot be") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const struct {
    const char* flags;
    int code;
    const char* text;
  } cases[] = {
      {"--processes 3", 2,
       "--batch-size 8: 3 processes take equal shares of it; --batch-size 6 or 9 would fit"},
      {"--processes 4 --micro-batch 3", 2, "in micro-batches of 3 images; --batch-size 12 would fit"},
      {"--processes 0", 2, "--processes 0: expected 1 to 65536"},
      {"--gpus 0", 2, "--gpus 0: expected 1 to 65536"},
      {"--processes 2 --gpus 4", 2, "--gpus 4"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.flags);
    const auto result = run_program("pretrain", set + " --out " + run + two_epochs + c.flags);
    CAPTURE(result.output);
    CHECK(result.code == c.code);
    CHECK(is_one_line_error(result));
    CHECK(says(result, c.text));
    CHECK(!fs::exists(run));
  }
  const auto others = run_two_by_hand(folder, "", set + " --out " + run + two_epochs + "--processes 4");
  CAPTURE(others.output);
  CHECK(others.code == 2);
  CHECK(says(others, "--processes 4"));
  CHECK(!fs::exists(run));
}

TEST_CASE("processes: one that cannot read the data, or has other data, ends all before the first step") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  draw_tiny_set(folder);
  const std::string arguments = "set --out run" + two_epochs;
  fs::create_directories(folder / "empty");
  const auto missing = run_two_by_hand(folder, "[ $OMPI_COMM_WORLD_RANK = 1 ] && cd empty", arguments);
  CAPTURE(missing.output);
  CHECK(missing.code == 3);
  CHECK(says(missing, "rank 1 on "));
  CHECK(says(missing, "set: no such folder"));
  CHECK(!says(missing, "epoch 1/2"));
  CHECK(!fs::exists(folder / "run/metrics.jsonl"));

  // The same number of images in other classes.
  fs::create_directories(folder / "other");
  fs::copy(folder / "set", folder / "other/set", fs::copy_options::recursive);
  fs::path first;
  for (const auto& entry : fs::directory_iterator(folder / "other/set/train"))
    if (first.empty() || entry.path() < first) first = entry.path();
  fs::rename(first / "00000.jpg", first / "renamed.jpg");
  const auto differing = run_two_by_hand(folder, "[ $OMPI_COMM_WORLD_RANK = 1 ] && cd other", arguments);
  CAPTURE(differing.output);
  CHECK(differing.code == 2);
  CHECK(says(differing, "rank 1 on "));
  CHECK(says(differing, "has other images than rank 0"));
  CHECK(!fs::exists(folder / "run/metrics.jsonl"));
}

TEST_CASE("processes: unreadable images are counted and listed over all of them") {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), one = folder / "one", two = folder / "two";
  int broken = 0;
  for (const auto& entry : fs::directory_iterator(set + "/train")) {
    const std::string bytes = read_bytes(entry.path() / "00003.jpg");
    // Its header is whole, so that only a batch shows that the image is not.
    write_bytes(entry.path() / "00003.jpg", bytes.substr(0, bytes.size() / 2));
    ++broken;
  }
  CHECK(broken == 3);
  trained(set, one, two_epochs);
  trained(set, two, two_epochs + with_processes(2));
  CHECK(read_bytes(two + "/bad_images.tsv") == read_bytes(one + "/bad_images.tsv"));
  CHECK(read_bytes(two + "/bad_images.tsv").find("00003.jpg") != std::string::npos);
  check_same_training(two, one);
  const auto refused = run_program(
      "pretrain", set + " --out " + (folder / "strict").string() + two_epochs + with_processes(2) + "--strict");
  CAPTURE(refused.output);
  CHECK(refused.code == 3);
  CHECK(is_one_line_error(refused));
}

}  // namespace
}  // namespace kindred
