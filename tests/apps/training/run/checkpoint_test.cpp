// Checkpoints as files: complete or absent, whatever fails; damage is noticed; a run resumes where it was.
#include "../../../engine/faulty_files.h"
#include "../../../engine/temporary_folder.h"
#include "../../../errors.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/apps/training/run/checkpoint_writer.h>
#include <kindred/apps/training/run/same_run.h>
#include <kindred/engine/optimizer/optimizer.h>

#include <cmath>
#include <fstream>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using test::error_of;

// A small model with an optimizer that has state.
struct SmallRun {
  ParameterStore store;
  std::unique_ptr<Optimizer> optimizer;

  explicit SmallRun(std::uint64_t seed = 1) {
    store.add("weight", {7, 5}, ParameterKind::weight, normal_init(1));
    store.add("bias", {5}, ParameterKind::bias, normal_init(1));
    store.add_buffer("bn.running_mean", {5}, 0.5f);
    store.allocate(Device::cpu, seed);
    optimizer = std::make_unique<Optimizer>(store, SgdOptions{.momentum = 0.9});
    store.flat_gradients();
    for (Parameter& parameter : store.parameters()) parameter.gradient.fill(0.25);
    optimizer->set_learning_rate(0.1);
    optimizer->step();
  }
  std::vector<float> values() const {
    std::vector<float> all;
    for (const auto& [name, tensor] : optimizer->state())
      for (const float v : tensor.to_vector<float>()) all.push_back(v);
    for (const Parameter& parameter : store.parameters())
      for (const float v : parameter.value.to_vector<float>()) all.push_back(v);
    for (const Buffer& buffer : store.buffers())
      for (const float v : buffer.value.to_vector<float>()) all.push_back(v);
    return all;
  }
};

RunState state_at(std::int64_t steps) {
  RunState state;
  state.epochs_done = 1;
  state.batches_done = 3;
  state.steps_done = steps;
  state.loss_sum = 0.1 + 0.2;
  state.seconds = 1.0 / 3;
  state.metrics = {{{"epoch", 1}, {"loss", 5.25}}};
  state.data = "0123456789abcdef";
  return state;
}

Checkpoint checkpoint_of(const SmallRun& run, std::int64_t steps) {
  return Checkpoint(run.store, run.optimizer->state(), state_at(steps));
}

TEST_CASE("checkpoint: gives back what it was given, to the last bit") {
  const TemporaryFolder folder;
  const SmallRun run(1);
  SmallRun other(2);
  REQUIRE(other.values() != run.values());
  checkpoint_of(run, 12).save(folder / "c.safetensors");
  const Checkpoint read(folder / "c.safetensors");
  read.restore(other.store, other.optimizer->state());
  CHECK(other.values() == run.values());
  CHECK(read.run().to_json() == state_at(12).to_json());
  CHECK(read.run().loss_sum == 0.1 + 0.2);
  CHECK(!read.run().best);
}

TEST_CASE("checkpoint: is a copy, not a view of a run that goes on") {
  const TemporaryFolder folder;
  SmallRun run(1);
  const std::vector<float> before = run.values();
  const Checkpoint checkpoint = checkpoint_of(run, 1);
  run.optimizer->step();
  REQUIRE(run.values() != before);
  checkpoint.save(folder / "c.safetensors");
  Checkpoint(folder / "c.safetensors").restore(run.store, run.optimizer->state());
  CHECK(run.values() == before);
}

TEST_CASE("checkpoint: any byte that changes, and any byte that is missing, is noticed") {
  const TemporaryFolder folder;
  const SmallRun run;
  const fs::path path = folder / "c.safetensors";
  checkpoint_of(run, 12).save(path);
  const std::string good = read_bytes(path);
  for (std::size_t size = 0; size < good.size(); ++size) {
    write_file_atomically(path, std::string_view(good).substr(0, size));
    REQUIRE(error_of([&] { Checkpoint{path}; }).starts_with(path.string()));
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write_file_atomically(path, bad);
    CAPTURE(at);
    REQUIRE(error_of([&] { Checkpoint{path}; }).starts_with(path.string()));
  }
}

TEST_CASE("checkpoint: of another model is refused, and nothing is changed") {
  const TemporaryFolder folder;
  const SmallRun run;
  checkpoint_of(run, 12).save(folder / "c.safetensors");
  ParameterStore store;
  store.add("weight", {7, 6}, ParameterKind::weight, normal_init(1));
  store.add("bias", {5}, ParameterKind::bias, normal_init(1));
  store.allocate(Device::cpu, 4);
  const Optimizer optimizer(store, SgdOptions{.momentum = 0.9});
  const std::vector<float> before = store.parameters()[0].value.to_vector<float>();
  const Checkpoint read(folder / "c.safetensors");
  CHECK(error_of([&] { read.restore(store, optimizer.state()); }).find("[7, 5]") != std::string::npos);
  CHECK(store.parameters()[0].value.to_vector<float>() == before);
}

TEST_CASE(
    "checkpoint folder: after a failure anywhere in a save, the old state or the new one is there, whole") {
  const SmallRun first(1), second(2);
  int failed_saves = 0;
  for (int call = 0;; ++call) {
    const TemporaryFolder folder;
    CheckpointFolder(folder.path, 2).save(checkpoint_of(first, 5), true);
    FailingCall files(call, call % 2 == 0 ? EIO : ENOSPC);
    const std::string error =
        error_of([&] { CheckpointFolder(folder.path, 2, files).save(checkpoint_of(second, 10), true); });
    failed_saves += error != "no error";
    const auto found = CheckpointFolder(folder.path, 2).newest_valid();
    CAPTURE(call);
    REQUIRE(found.newest);
    CHECK(found.passed_over.empty());
    SmallRun restored(3);
    found.newest->restore(restored.store, restored.optimizer->state());
    const bool is_new = found.newest->run().steps_done == 10;
    CHECK(restored.values() == (is_new ? second : first).values());
    if (error == "no error") CHECK(is_new);
    // Once the disk works again, the next save succeeds, and no temporary file is left.
    CheckpointFolder(folder.path, 1).save(checkpoint_of(second, 15), false);
    CHECK(CheckpointFolder(folder.path, 1).newest_valid().newest->run().steps_done == 15);
    const RunLock lock(folder.path);
    for (const auto& entry : fs::recursive_directory_iterator(folder.path))
      CHECK(entry.path().extension() != ".tmp");
    if (files.calls <= call) break;  // all calls of a save were tried
  }
  CHECK(failed_saves >= 5);
}

TEST_CASE("checkpoint folder: a damaged file is skipped with a reason, and set aside") {
  const TemporaryFolder folder;
  const SmallRun run;
  CheckpointFolder checkpoints(folder.path, 3);
  for (const std::int64_t step : {900, 1000, 1100}) checkpoints.save(checkpoint_of(run, step), false);
  const fs::path newest = folder / "checkpoints/step-000001100.safetensors";
  std::string bytes = read_bytes(newest);
  bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1);
  std::ofstream(newest, std::ios::binary) << bytes;  // under both names, like a failing disk
  const auto found = checkpoints.newest_valid();
  REQUIRE(found.newest);
  CHECK(found.newest->run().steps_done == 1000);
  REQUIRE(!found.reasons.empty());
  CHECK(found.reasons.front().find("checksum differs") != std::string::npos);
  checkpoints.set_aside(found);
  CHECK(checkpoints.newest_valid().passed_over.empty());
  CHECK(fs::exists(newest.string() + ".damaged"));
}

TEST_CASE("checkpoint folder: the last K and the best stay") {
  const TemporaryFolder folder;
  const SmallRun run;
  CheckpointFolder checkpoints(folder.path, 2);
  for (const std::int64_t step : {1, 2, 3, 4, 5}) checkpoints.save(checkpoint_of(run, step), step == 2);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"best.txt", "step-000000002.safetensors",
                                          "step-000000004.safetensors", "step-000000005.safetensors"});
  CHECK(Checkpoint(folder / "checkpoint.safetensors").run().steps_done == 5);
}

TEST_CASE(
    "checkpoint folder: a run that counts from a smaller step after a change goes on from its newest one") {
  const TemporaryFolder folder;
  const SmallRun before(1), after(2);
  CheckpointFolder checkpoints(folder.path, 2);
  for (const std::int64_t step : {90, 100}) checkpoints.save(checkpoint_of(before, step), step == 100);
  // With a batch twice as large, the second epoch ends at step 60.
  for (const std::int64_t step : {60, 65, 70}) {
    RunState state = state_at(step);
    state.epochs_done = 2;
    state.metrics.push_back({{"epoch", 2}, {"loss", 5.0}});
    checkpoints.save(Checkpoint(after.store, after.optimizer->state(), state), false);
    CHECK(checkpoints.newest_valid().newest->run().steps_done == step);
  }
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints"))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"best.txt", "step-000000065.safetensors",
                                          "step-000000070.safetensors", "step-000000100.safetensors"});
}

TEST_CASE("run lock: a second process is refused; what a killed one left is removed") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "checkpoints");
  write_file_atomically(folder / ".kindred-1-deadbeef.tmp", "half");
  write_file_atomically(folder / "checkpoints/.kindred-1-deadbeef.tmp", "half");
  write_file_atomically(folder / "mine.tmp", "the user's");
  const RunLock lock(folder.path);
  CHECK(folder.file_count() == 2);  // the folder, and a file that is not ours
  CHECK(fs::is_empty(folder / "checkpoints"));
  CHECK(error_of([&] { RunLock{folder.path}; }).find("another process") != std::string::npos);
}

TEST_CASE("checkpoint writer: writes while the caller goes on, and tells what failed") {
  const TemporaryFolder folder;
  const SmallRun run;
  {
    CheckpointWriter writer(folder.path, EncoderInfo{"resnet20", Stem::cifar, 32, cifar10_pixels}, 2);
    writer.submit(checkpoint_of(run, 7), true);
    writer.wait();
    CHECK(!writer.take_failure());
    CHECK(writer.last_saved_step() == 7);
  }
  CHECK(read_encoder_info(folder / "encoder.safetensors").model == "resnet20");
  FailingCall files(1, ENOSPC);
  CheckpointWriter writer(folder.path, EncoderInfo{"resnet20", Stem::cifar, 32, cifar10_pixels}, 2, files);
  writer.submit(checkpoint_of(run, 8), true);
  writer.wait();
  const auto failure = writer.take_failure();
  REQUIRE(failure);
  CHECK(failure->find("the disk is full") != std::string::npos);
  CHECK(!writer.last_saved_step());
  CHECK(Checkpoint(folder / "checkpoint.safetensors").run().steps_done == 7);
}

TEST_CASE("checkpoint writer: tells when encoder and checkpoint are on the disk, and not before") {
  const SmallRun run;
  const EncoderInfo info{"resnet20", Stem::cifar, 32, cifar10_pixels};
  for (int call = 0;; ++call) {
    CAPTURE(call);
    const TemporaryFolder folder;
    const auto has_checkpoint = [&] { return !CheckpointFolder(folder.path, 1).candidates().empty(); };
    std::vector<bool> seen;  // whether an encoder and a checkpoint were there
    FailingCall files(call, ENOSPC);
    CheckpointWriter writer(folder.path, info, 2, files, [&] {
      seen.push_back(fs::exists(folder / "encoder.safetensors"));
      seen.push_back(has_checkpoint());
    });
    writer.submit(checkpoint_of(run, 7), call % 2 == 0);
    writer.wait();
    const bool has_failed = writer.take_failure().has_value();
    // Also where only a second name of the checkpoint failed: who goes on takes it.
    CHECK(seen == (has_checkpoint() ? std::vector<bool>{true, true} : std::vector<bool>()));
    CHECK((has_failed || has_checkpoint()));
    if (files.calls <= call) {
      CHECK(!has_failed);
      CHECK(call >= 8);  // two files, each opened, written, brought to the disk and renamed
      break;             // all calls were tried
    }
  }
}

TEST_CASE("checkpoint writer: a first save that fails marks its encoder, until a save has a checkpoint") {
  const SmallRun run;
  const EncoderInfo info{"resnet20", Stem::cifar, 32, cifar10_pixels};
  int unsaved = 0;  // encoders without a checkpoint
  for (int call = 0;; ++call) {
    CAPTURE(call);
    const TemporaryFolder folder;
    const auto has = [&](const char* name) { return fs::exists(folder / name); };
    FailingCall files(call, ENOSPC);
    CheckpointWriter writer(folder.path, info, 2, files);
    writer.submit(checkpoint_of(run, 7), true);
    writer.wait();
    CHECK(has(first_save_name) == !has("checkpoint.safetensors"));
    unsaved += has("encoder.safetensors") && !has("checkpoint.safetensors");
    if (files.calls <= call) break;              // all calls were tried
    writer.submit(checkpoint_of(run, 8), true);  // no call fails any more
    writer.wait();
    CHECK(has("checkpoint.safetensors"));
    CHECK(!has(first_save_name));
  }
  CHECK(unsaved >= 8);  // two files, each opened, written, brought to the disk and renamed
}

TEST_CASE("checkpoint folder: names that a run gives, and names that are the user's") {
  for (const char* name : {"best.txt", "step-000000001.safetensors", "step-12345678901.safetensors",
                           "step-000000001.safetensors.damaged"}) {
    CAPTURE(name);
    CHECK(is_checkpoint_name(name));
  }
  for (const char* name : {"notes.txt", "step-.safetensors", "step-best.safetensors", "step-1.safetensors.txt",
                           "step-1", "best.txt.damaged", "step-1a.safetensors.damaged"}) {
    CAPTURE(name);
    CHECK(!is_checkpoint_name(name));
  }
}

TEST_CASE("--checkpoint-every: steps and times") {
  CHECK(CheckpointInterval::parse("500").steps == 500);
  CHECK(CheckpointInterval::parse("10m").seconds == 600);
  CHECK(CheckpointInterval::parse("1.5h").seconds == 5400);
  CHECK(CheckpointInterval::parse("90s").seconds == 90);
  for (const char* text : {"", "0", "-5", "1.5", "10x", "m", "nan", "inf", "1e400", "0s"})
    CHECK(error_of([&] { CheckpointInterval::parse(text); }).find("--checkpoint-every") != std::string::npos);
}

TEST_CASE("config.json: nesting, however deep, and size cost an error, not the stack or the memory") {
  const TemporaryFolder folder;
  const auto complaint = [&](const std::string& text) {
    write_bytes(folder / "config.json", text);
    return error_of([&] { changed_settings(folder.path, {{"lr", 0.1}}); });
  };
  CHECK(complaint(R"({"lr": 0.1})") == "no error");
  CHECK(complaint(std::string(500'000, '[')).find("is not valid JSON") != std::string::npos);
  const std::string deep = std::string(500'000, '[') + std::string(500'000, ']');
  CHECK(complaint("{\"lr\": " + deep + "}").find("is not valid JSON") != std::string::npos);
  CHECK(complaint("{\"lr\": [" + std::string(2'000'000, ' ') + "]}").find("larger than any") !=
        std::string::npos);
}

}  // namespace
}  // namespace kindred
