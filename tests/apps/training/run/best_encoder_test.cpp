// The best encoder of a run: which epoch it is of, and that its file is right whatever a killed process left.
#include "../../../engine/faulty_files.h"
#include "../../../engine/temporary_folder.h"

#include <doctest/doctest.h>
#include <kindred/apps/evaluation/given_weights.h>
#include <kindred/apps/training/run/best/best_encoder.h>
#include <kindred/apps/training/run/checkpoint_writer.h>
#include <kindred/engine/files/json_text.h>
#include <kindred/models/classifier_file.h>
#include <kindred/models/contrastive_model.h>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const EncoderInfo info{"resnet20", Stem::cifar, 48, cifar10_pixels};

// A run whose best epoch ended at step 3, and that has come to step 6.
struct RunWithBest {
  TemporaryFolder folder;
  fs::path run = folder.path / "run", best_file = run / "best_encoder.safetensors";
  ContrastiveModel best{"resnet20", Stem::cifar, HeadKind::linear},
      last{"resnet20", Stem::cifar, HeadKind::linear};
  std::string best_bytes;  // of an encoder file

  RunWithBest() {
    fs::create_directories(run);
    best.store.allocate(Device::cpu, 1);
    last.store.allocate(Device::cpu, 2);
    for (Buffer& buffer : best.store.buffers()) buffer.value.fill(0.5);  // training changes them in every step
    save_encoder(folder / "expected", best.store, info, 3);
    best_bytes = read_bytes(folder / "expected");
  }

  static RunState state_at(std::int64_t step) {
    RunState state;
    state.epochs_done = step / 3;
    state.steps_done = step;
    state.best = 0.75;
    state.best_loss = 1.5;
    state.best_step = 3;
    state.metrics.push_back({{"epoch", 1}, {"loss", 1.5}, {"knn_top1", 0.75}});
    if (step > 3) state.metrics.push_back({{"epoch", 2}, {"loss", 1.25}, {"knn_top1", 0.5}});
    return state;
  }

  void save(FileOperations& files = system_files()) {
    CheckpointWriter writer(run, info, 1, files);
    writer.submit(Checkpoint(best.store, {}, state_at(3)), true);
    writer.wait();
    writer.submit(Checkpoint(last.store, {}, state_at(6)), false);
    writer.wait();
  }
};

// A checkpoint as an earlier version wrote it: the best epoch only by its figure, and nothing about the encoder.
void save_as_earlier_version(const fs::path& path, const ParameterStore& store, const RunState& state) {
  nlohmann::json record = state.to_json();
  for (const char* key : {"best_loss", "best_step"}) record.erase(key);
  SafetensorsWriter writer;
  writer.add_checksum();
  mark_as_checkpoint(writer);
  writer.set_metadata("run", json_text(record));
  for (const auto& [name, tensor] : store.tensors()) writer.add(name, tensor);
  fs::create_directories(path.parent_path());
  writer.write(path);
}

TEST_CASE("best epoch: the higher figure, then the lower loss, then the later one") {
  RunState state;
  CHECK(state.is_improved_by(-1, 9));  // the first one
  state.best = 0.5;
  state.best_loss = 2.0;
  CHECK(state.is_improved_by(0.625, 3.0));
  CHECK(!state.is_improved_by(0.375, 1.0));
  CHECK(state.is_improved_by(0.5, 1.5));
  CHECK(!state.is_improved_by(0.5, 2.5));
  CHECK(state.is_improved_by(0.5, 2.0));
  state.best_loss.reset();  // of an earlier version
  CHECK(state.is_improved_by(0.5, 9.0));
}

TEST_CASE("best encoder: stays when the run goes on, and is that of the best checkpoint") {
  RunWithBest r;
  r.save();
  CHECK(read_bytes(r.best_file) == r.best_bytes);
  CHECK(read_bytes(r.run / "encoder.safetensors") != r.best_bytes);
  CHECK(read_bytes(r.run / "checkpoints/best.txt") == "step-000000003.safetensors\n");
}

TEST_CASE("best encoder: a save that failed is made up for by the next one") {
  // A file takes about a hundred calls, and there are seven in all.
  for (int call = 0; call < 700; call += 41) {
    CAPTURE(call);
    RunWithBest r;
    FailingCall files(call);
    r.save(files);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
    if (fs::exists(r.run / "checkpoints/step-000000006.safetensors"))
      CHECK(read_bytes(r.run / "checkpoints/best.txt") == "step-000000003.safetensors\n");
  }
}

TEST_CASE("best encoder: a run that goes on puts right what a killed process left") {
  RunWithBest r;
  r.save();
  const RunState newest = RunWithBest::state_at(6);
  SUBCASE("the encoder of a checkpoint that was not written any more") {
    fs::copy_file(r.run / "encoder.safetensors", r.best_file, fs::copy_options::overwrite_existing);
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("the same where a frozen first layer keeps its running statistics") {
    for (Buffer& buffer : r.last.store.buffers()) buffer.value.fill(0.5);
    save_encoder(r.best_file, r.last.store, info, 6);
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("no best encoder") {
    fs::remove(r.best_file);
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("a best encoder that is no encoder") {
    write_bytes(r.best_file, "not a file of weights");
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("a best encoder that is cut short") {
    fs::resize_file(r.best_file, r.best_bytes.size() / 2);
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("a best encoder with another value at its end") {
    std::string bytes = r.best_bytes;
    bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
    write_bytes(r.best_file, bytes);
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("a best checkpoint that best.txt does not name yet") {
    fs::remove(r.run / "checkpoints/best.txt");
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.run / "checkpoints/best.txt") == "step-000000003.safetensors\n");
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
  SUBCASE("without the best checkpoint nothing changes") {
    fs::remove(r.run / "checkpoints/step-000000003.safetensors");
    put_best_encoder_right(r.run, newest);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
    fs::remove(r.best_file);
    put_best_encoder_right(r.run, newest);
    CHECK(!fs::exists(r.best_file));
  }
  SUBCASE("a checkpoint that is not of the best epoch any more does not replace the encoder of that epoch") {
    RunState other = RunWithBest::state_at(3);
    other.best_step = -1;
    Checkpoint(r.last.store, {}, other).save(r.run / "checkpoints/step-000000003.safetensors");
    put_best_encoder_right(r.run, other);
    CHECK(read_bytes(r.best_file) == r.best_bytes);
  }
}

TEST_CASE("best encoder: its classifier is written before it, so that a second kill is put right too") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  fs::create_directories(run / "checkpoints");
  ContrastiveModel best("resnet20", Stem::cifar, HeadKind::mlp, 3);
  best.store.allocate(Device::cpu, 1);
  Checkpoint checkpoint(best.store, {}, RunWithBest::state_at(3));
  checkpoint.set_encoder_info(info);
  checkpoint.save(run / "checkpoints/step-000000003.safetensors");
  save_classifier(run / "classifier.safetensors", trained_classifier(best.store, {"a", "b", "c"}));
  fs::create_directories(run / "best_classifier.safetensors");  // a file of this name cannot be written
  put_best_encoder_right(run, RunWithBest::state_at(6));
  CHECK(!fs::exists(run / "best_encoder.safetensors"));
  fs::remove(run / "best_classifier.safetensors");
  put_best_encoder_right(run, RunWithBest::state_at(6));
  CHECK(fs::exists(run / "best_encoder.safetensors"));
  CHECK(load_classifier(run / "best_classifier.safetensors", 64).class_names[2] == "c");
}

TEST_CASE("best encoder: of a run of an earlier version, from its best checkpoint and its config.json") {
  RunWithBest r;
  const fs::path checkpoint = r.run / "checkpoints/step-000000003.safetensors";
  save_as_earlier_version(checkpoint, r.best.store, RunWithBest::state_at(3));
  write_bytes(r.run / "checkpoints/best.txt", "step-000000003.safetensors\n");

  CHECK(weights_info_of(checkpoint).assumed);  // nothing says how images are prepared
  CHECK(weights_info_of(checkpoint).encoder.image_size == 32);
  CHECK(weights_info_of(checkpoint).batches_tracked == 3);
  put_best_encoder_right(r.run, RunWithBest::state_at(6));
  CHECK(!fs::exists(r.best_file));

  const nlohmann::json config{{"model", "resnet20"},
                              {"stem", "cifar"},
                              {"image_size", 48},
                              {"val_fraction", 0},
                              {"pixel_mean", cifar10_pixels.mean},
                              {"pixel_std", cifar10_pixels.deviation}};
  write_bytes(r.run / "config.json", json_text(config));
  CHECK(!weights_info_of(checkpoint).assumed);
  CHECK(encoder_info_of(checkpoint).image_size == 48);
  CHECK(weights_file("--encoder", r.run, true) == checkpoint);
  RunState newest = read_run_state(checkpoint);
  CHECK(newest.best_step == 3);  // its last epoch has the best figure
  newest.best_step = -1;
  put_best_encoder_right(r.run, newest);
  CHECK(read_bytes(r.best_file) == r.best_bytes);
}

TEST_CASE("best.txt is not trusted") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "checkpoints");
  write_bytes(folder / "secret", "the user's");
  for (const std::string& text : {std::string("../secret\n"), (folder / "secret").string(), std::string(".."),
                                  std::string(), std::string(5000, 'x'), std::string("missing.safetensors")}) {
    CAPTURE(text);
    write_bytes(folder / "checkpoints/best.txt", text);
    CHECK(!best_checkpoint(folder.path));
  }
}

}  // namespace
}  // namespace kindred
