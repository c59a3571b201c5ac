// Results that are being replaced: whenever the process is killed and whichever call fails, they are whole.
#include "../../../engine/faulty_files.h"
#include "../../../errors.h"
#include "../../programs.h"

#include <kindred/apps/training/run/takeover/output_folder.h>

#include <set>

namespace kindred {
namespace {

namespace fs = std::filesystem;
using test::code_of;
using test::error_of;

struct Killed {};

// Ends the process, as far as the code under test can see, before the n-th rename (counted from 0).
struct KilledAtRename : FileOperations {
  explicit KilledAtRename(int which) : left(which) {}
  int left;
  int rename(const char* from, const char* to) override {
    if (left-- == 0) throw Killed{};
    return FileOperations::rename(from, to);
  }
};

void write_below(const fs::path& folder, const std::string& name, const std::string& bytes) {
  fs::create_directories((folder / name).parent_path());
  write_bytes(folder / name, bytes);
}

// A run of twelve files, the last three of a probe, and files of the user's among them.
void write_run_with_probe(const fs::path& run) {
  for (const char* name :
       {"config.json", "metrics.jsonl", "plans.json", "bad_images.tsv", "encoder.safetensors",
        "best_encoder.safetensors", "checkpoint.safetensors", "checkpoints/step-000000008.safetensors",
        "checkpoints/best.txt", "probe/result.json", "probe/classifier.safetensors", "probe/bad_images.tsv"})
    write_below(run, name, std::string("the earlier ") + name);
  for (const char* name :
       {"notes.txt", "checkpoints/step-mine.safetensors", "probe/figure.png", "analysis/result.json"})
    write_below(run, name, std::string("the user's ") + name);
}

std::set<std::string> names_below(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& [name, bytes] : folder_contents(folder)) names.insert(name);
  return names;
}

TEST_CASE("set aside: whenever the process is killed without a save, the next start brings all files back") {
  int kills = 0;
  for (int rename = 0;; ++rename) {
    CAPTURE(rename);
    const TemporaryFolder folder;
    write_run_with_probe(folder.path);
    const auto before = folder_contents(folder.path);
    KilledAtRename files(rename);
    SetAside aside(folder.path, FolderOf::run, files);
    bool killed = false;
    try {
      aside.move_away();
      CHECK(names_below(folder.path / "probe") ==
            std::set<std::string>{".kindred-run-part", ".kindred-run-part/bad_images.tsv",
                                  ".kindred-run-part/classifier.safetensors", ".kindred-run-part/result.json",
                                  "figure.png"});
      // The new run begins, and ends without a save.
      write_bytes(folder / "config.json", "new");
      write_bytes(folder / "metrics.jsonl", "new");
      for (const char* name : {"encoder.safetensors", "best_encoder.safetensors"})
        write_bytes(folder / name, "new");  // killed between these and the checkpoint
      aside.move_back();
    } catch (const Killed&) {
      killed = true;
      ++kills;
    }
    if (killed) CHECK(SetAside(folder.path, FolderOf::run).put_right());
    CHECK(folder_contents(folder.path) == before);
    CHECK(!SetAside(folder.path, FolderOf::run).is_there());
    if (!killed) break;
  }
  CHECK(kills == 26);  // there and back: twelve files, and the folder that says so
}

TEST_CASE("set aside: if any call fails, everything is where it was") {
  int failures = 0;
  for (int call = 0;; ++call) {
    CAPTURE(call);
    const TemporaryFolder folder;
    write_run_with_probe(folder.path);
    const auto before = folder_contents(folder.path);
    FailingCall files(call);
    SetAside aside(folder.path, FolderOf::run, files);
    const std::string error = error_of([&] { aside.move_away(); });
    CHECK(aside.is_there() == (error == "no error"));
    if (error != "no error") {
      ++failures;
      CHECK(folder_contents(folder.path) == before);
    }
    if (files.calls <= call) break;  // all calls were tried
  }
  CHECK(failures == 14);  // thirteen renames, and bringing the folder to the disk
}

TEST_CASE(
    "set aside: any checkpoint of the new run makes the next start remove the earlier run, and nothing else") {
  for (const std::string save : {"checkpoint.safetensors", "checkpoints/step-000000002.safetensors"}) {
    CAPTURE(save);
    const TemporaryFolder folder;
    write_run_with_probe(folder.path);
    write_below(folder.path, "second/result.json", "the earlier");
    write_below(folder.path, "second/classifier.safetensors", "the earlier");
    SetAside(folder.path, FolderOf::run).move_away();
    write_bytes(folder / save, "new");
    write_bytes(folder / "config.json", "new");
    CHECK(!SetAside(folder.path, FolderOf::run).put_right());
    CHECK(names_below(folder.path) == std::set<std::string>{"analysis", "analysis/result.json", "checkpoints",
                                                            "checkpoints/step-mine.safetensors", "config.json",
                                                            "notes.txt", "probe", "probe/figure.png", save});
    CHECK(read_bytes(folder / "config.json") == "new");
  }
}

TEST_CASE(
    "set aside: encoders and classifiers without a checkpoint are no save, and the earlier run comes back") {
  const TemporaryFolder folder;
  write_run_with_probe(folder.path);
  const auto before = folder_contents(folder.path);
  const SetAside aside(folder.path, FolderOf::run);
  for (const char* config : {"{}", "{\"loss\": \"cross_entropy\"}"}) {
    CAPTURE(config);
    const bool classifies = std::string(config).size() > 2;
    SetAside(folder.path, FolderOf::run).move_away();
    write_bytes(folder / "config.json", config);
    for (const std::string name : {"metrics.jsonl", "encoder.safetensors", "best_encoder.safetensors",
                                   "classifier.safetensors", "best_classifier.safetensors", "result.json"})
      if (classifies || name.find("classifier") == std::string::npos) write_bytes(folder / name, "new");
    if (!classifies) fs::remove(folder / "result.json");
    CHECK(aside.place_of("config.json") == folder / ".kindred-run-earlier/config.json");
    CHECK(SetAside(folder.path, FolderOf::run).put_right());
    CHECK(folder_contents(folder.path) == before);
  }
}

TEST_CASE("set aside: results of probes at any depth move with the run, but not those of a run inside") {
  const TemporaryFolder folder;
  write_run_with_probe(folder.path);
  const std::string others[] = {"fine/encoder.safetensors",
                                "fine/probe/result.json",
                                "fine/probe/classifier.safetensors",
                                "halted/.kindred-run-earlier/encoder.safetensors",
                                "halted/probe/.kindred-run-part/result.json",
                                "analysis/deep/result.json"};
  for (const std::string& name : others) write_below(folder.path, name, "not of this run");
  for (const char* name : {"probes/a/b/result.json", "probes/a/b/classifier.safetensors"})
    write_below(folder.path, name, "the earlier");
  write_below(folder.path, "lone/c/result.json", "{\"top1\": 0.5, \"train_images\": 8, \"encoder\": \"e\"}");
  const auto before = folder_contents(folder.path);

  SetAside aside(folder.path, FolderOf::run);
  aside.move_away();
  CHECK(fs::exists(folder / "probes/a/b/.kindred-run-part/result.json"));
  CHECK(fs::exists(folder / "lone/c/.kindred-run-part/result.json"));
  CHECK(!fs::exists(folder / "probes/a/b/result.json"));
  for (const std::string& name : others) CHECK(fs::exists(folder / name));
  aside.move_back();
  CHECK(folder_contents(folder.path) == before);

  aside.move_away();
  write_bytes(folder / "encoder.safetensors", "new");
  aside.remove();
  for (const char* name : {"probes", "lone"}) CHECK(!fs::exists(folder / name));
  for (const std::string& name : others) CHECK(read_bytes(folder / name) == "not of this run");
}

TEST_CASE("set aside: checkpoints on another disk stay there; the probe of another run is left alone") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run", disk = folder / "disk";
  write_below(run, "encoder.safetensors", "the earlier");
  write_below(disk, "step-000000008.safetensors", "the earlier");
  write_below(folder.path, "other/result.json", "another run's");
  write_below(folder.path, "other/classifier.safetensors", "another run's");
  fs::create_directory_symlink(disk, run / "checkpoints");
  fs::create_directory_symlink(folder / "other", run / "probe");
  const auto before = folder_contents(folder.path);

  SetAside aside(run, FolderOf::run);
  aside.move_away();
  CHECK(names_below(disk) ==
        std::set<std::string>{".kindred-run-part", ".kindred-run-part/step-000000008.safetensors"});
  aside.move_back();
  CHECK(folder_contents(folder.path) == before);

  aside.move_away();
  write_bytes(run / "encoder.safetensors", "new");
  aside.remove();
  CHECK(names_below(disk).empty());
  CHECK(names_below(folder / "other") == std::set<std::string>{"classifier.safetensors", "result.json"});
  CHECK(fs::is_symlink(run / "checkpoints"));
  CHECK(fs::is_symlink(run / "probe"));
}

TEST_CASE(
    "output folder: a probe is refused while the run around it is being replaced, and puts that right after a "
    "kill") {
  const TemporaryFolder folder;
  write_run_with_probe(folder.path);
  SetAside(folder.path, FolderOf::run).move_away();
  const auto open_probe = [&] {
    const OutputFolder probe(folder / "fresh/probe/", FolderOf::probe, ExistingRun::refuse);
  };
  const auto open_in_run = [&] {
    const OutputFolder probe(folder / "fresh/", FolderOf::probe, ExistingRun::refuse);
  };
  {
    const RunLock run(folder.path);  // a process is training
    CHECK(code_of(open_in_run) == ExitCode::usage);
    CHECK(error_of(open_in_run).find("is being replaced by another process") != std::string::npos);
    CHECK(!fs::exists(folder / "fresh"));
    CHECK(SetAside(folder.path, FolderOf::run).is_there());
    CHECK(error_of(open_probe).find("is being replaced by another process") != std::string::npos);
  }
  CHECK(error_of(open_in_run) == "no error");  // the process was killed
  CHECK(!SetAside(folder.path, FolderOf::run).is_there());
  CHECK(read_bytes(folder / "probe/result.json") == "the earlier probe/result.json");
}

TEST_CASE("output folder: folders that a start made are removed with it, as long as nobody else uses them") {
  const TemporaryFolder folder;
  const auto start = [&](const std::string& below) {
    const OutputFolder output(folder / below, FolderOf::run, ExistingRun::refuse);
    CHECK(fs::is_directory(folder / below));
    CHECK(error_of([&] {
            OutputFolder(folder / below, FolderOf::run, ExistingRun::overwrite);
          }).find("another process") != std::string::npos);
  };
  start("a/b/c");
  start("a/b/c/");
  CHECK(folder.file_count() == 0);
  write_below(folder.path, "a/notes.txt", "the user's");
  start("a/b/c");
  CHECK(names_below(folder.path) == std::set<std::string>{"a", "a/notes.txt"});
  start("a");
  CHECK(names_below(folder.path) == std::set<std::string>{"a", "a/notes.txt"});
}

TEST_CASE("output folder: what the program wrote before its first result is removed, except for reports") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const auto end_without_result = [&](const std::string& bad_images) {
    OutputFolder output(run, FolderOf::run, ExistingRun::refuse);
    output.take_over();
    CHECK(names_below(run).empty());  // files of the start before
    for (const char* name : {"config.json", "plans.json", "metrics.jsonl"}) write_bytes(run / name, "");
    fs::create_directory(run / "checkpoints");
    write_bytes(run / "bad_images.tsv", "path\toutcome\treason\n" + bad_images);
  };
  end_without_result("");
  CHECK(!fs::exists(run));
  for (int again = 0; again < 2; ++again) {
    end_without_result("a.jpg\trejected\tempty\n");
    CHECK(names_below(run) == std::set<std::string>{"bad_images.tsv"});
  }
  write_bytes(run / "metrics.jsonl", "{}\n");  // a result
  CHECK(error_of([&] { OutputFolder(run, FolderOf::run, ExistingRun::refuse); }).find("--overwrite") !=
        std::string::npos);
}

TEST_CASE("output folder: files of a start that no run of pretrain wrote are refused, and stay") {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  fs::create_directory(run);
  const auto complaint = [&](ExistingRun existing) {
    return error_of([&] { OutputFolder(run, FolderOf::run, existing).take_over(); });
  };
  for (const char* content : {"{\"architectures\": []}", "not JSON", "[1]"}) {
    write_bytes(run / "config.json", content);
    for (const ExistingRun existing : {ExistingRun::refuse, ExistingRun::resume, ExistingRun::overwrite})
      CHECK(complaint(existing).find("its config.json is not of a run") != std::string::npos);
    CHECK(read_bytes(run / "config.json") == content);
  }
  write_bytes(run / "config.json", "{\"data_fingerprint\": \"0\"}");  // of a start that was killed
  CHECK(complaint(ExistingRun::refuse) == "no error");
  fs::create_directory(run);
  write_bytes(run / "plans.json", "{}");
  CHECK(complaint(ExistingRun::refuse).find("its plans.json is not of a run") != std::string::npos);
}

}  // namespace
}  // namespace kindred
