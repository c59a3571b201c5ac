// New runs and probes in folders that are not empty, as a user sees them: what is replaced stays until there is
// something better, and what has no results is no obstacle.
#include "../../programs.h"

#include <kindred/apps/training/run/checkpoint_folder.h>

#include <fmt/core.h>
#include <signal.h>  // defines: kill
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

namespace kindred {
namespace {

namespace fs = std::filesystem;

using Contents = std::map<std::string, std::string>;

const std::string tiny_probe = " --epochs 1 -b 8 ";

// A run of `tiny` with the result of a probe, and files of the user's.
struct EarlierRun {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder), run = folder / "run", probe = run + "/probe";
  Contents contents;

  EarlierRun() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--seed 1").code == 0);
    REQUIRE(run_program("linear_probe", probe_command("")).code == 0);
    for (const char* name : {"/notes.txt", "/probe/notes.txt", "/checkpoints/notes.txt"})
      write_bytes(run + name, "the user's");
    contents = folder_contents(run);
  }
  std::string probe_command(const std::string& flags) const {
    return set + " --encoder " + run + "/encoder.safetensors --out " + probe + tiny_probe + flags;
  }
};

std::set<std::string> just_names(const Contents& contents) {
  std::set<std::string> names;
  for (const auto& [name, bytes] : contents) names.insert(name);
  return names;
}

fs::path first_image(const std::string& set) {
  for (const auto& entry : fs::recursive_directory_iterator(set + "/train"))
    if (entry.path().extension() == ".jpg") return entry.path();
  return {};
}

// Runs `pretrain` and kills it, without a chance to clean up, as soon as `path` is there.
ProgramResult kill_when_there(const std::string& path, const std::string& arguments) {
  const TemporaryFolder place;
  const std::string id = place / "id";
  std::atomic<bool> over = false;
  std::thread killer([&] {
    while (!over && !fs::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (!over) ::kill(std::stoi(read_bytes(id)), SIGKILL);
  });
  const auto result =
      run_program_with("sh -c 'echo $$ > " + id + "; exec env \"$@\"' sh", "pretrain", arguments);
  over = true;
  killer.join();
  return result;
}

TEST_CASE("--overwrite: whatever ends the new run before its first save, the earlier one is as it was") {
  const EarlierRun earlier;
  const std::string command = earlier.set + " --out " + earlier.run + tiny + "--overwrite ";
  const auto fails = [&](const std::string& flags, int code, const std::string& prefix = "") {
    CAPTURE(flags);
    const auto result = run_program_with(prefix, "pretrain", command + flags);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    return result;
  };
  // Before anything is set aside.
  fails("--weights " + earlier.run + "/mistyped.safetensors", 4);
  CHECK(folder_contents(earlier.run) == earlier.contents);
  fails("--weights " + earlier.probe + "/classifier.safetensors", 4);
  CHECK(folder_contents(earlier.run) == earlier.contents);
  fails("--frobnicate", 2);
  CHECK(folder_contents(earlier.run) == earlier.contents);

  // Afterwards.
  const std::string is_back = earlier.run + ": nothing new was saved; the earlier run is back\n";
  // The encoder needs more, or has room, and only the checkpoint has none.
  for (const int blocks : {64, 2400}) {
    CHECK(says(fails("", 6, fmt::format("ulimit -f {};", blocks)), is_back));
    CHECK(folder_contents(earlier.run) == earlier.contents);
  }
  const fs::path image = first_image(earlier.set);
  const std::string bytes = read_bytes(image);
  write_bytes(image, "no picture");
  CHECK(says(fails("--strict", 3), is_back));
  Contents with_report = folder_contents(earlier.run);
  CHECK(with_report.erase("bad_images.refused.tsv") == 1);  // the error names it
  CHECK(with_report == earlier.contents);
  write_bytes(image, bytes);
  CHECK(says(fails("--lr 1e30 --warmup-epochs 0", 7), is_back));
  with_report = folder_contents(earlier.run);
  CHECK(with_report.erase("non_finite.json") == 1);  // the same
  CHECK(with_report == earlier.contents);

  // An earlier run that has such a list keeps it.
  write_bytes(earlier.run + "/non_finite.json", "of the earlier run");
  const auto refused = fails("--lr 1e30 --warmup-epochs 0", 7);
  CHECK(says(refused, is_back));
  CHECK(says(refused, "its images are listed in " + earlier.run + "/non_finite.refused.json"));
  CHECK(read_bytes(earlier.run + "/non_finite.json") == "of the earlier run");
  CHECK(json_file(earlier.run + "/non_finite.refused.json").at("batch_images").size() == 8);
  REQUIRE(run_program("pretrain", command).code == 0);
  for (const char* name : {"/non_finite.json", "/non_finite.refused.json"})
    CHECK(!fs::exists(earlier.run + name));
}

TEST_CASE("--overwrite: a signal before the first step brings the earlier run back") {
  const EarlierRun earlier;
  const std::string weights = earlier.folder / "weights";
  fs::create_directories(weights);
  fs::copy_file(earlier.run + "/encoder.safetensors", weights + "/encoder.safetensors");
  const auto result = run_until_it_opens(weights, SIGTERM, "pretrain",
                                         earlier.set + " --out " + earlier.run + tiny +
                                             "--overwrite --weights " + weights + "/encoder.safetensors");
  CAPTURE(result.output);
  CHECK(result.code == 8);
  CHECK(!says(result, "a checkpoint of step 0 was saved"));
  if (says(result, "a checkpoint of step ")) {
    MESSAGE("the signal came after the first step");
    CHECK(folder_contents(earlier.run) != earlier.contents);
  } else {
    CHECK(folder_contents(earlier.run) == earlier.contents);
  }
}

TEST_CASE("--overwrite: once the new run has saved, nothing of the earlier one is left, and a line says so") {
  const EarlierRun earlier;
  const std::string fresh = earlier.folder / "fresh", flags = tiny + "--seed 2 ";
  REQUIRE(run_program("pretrain", earlier.set + " --out " + fresh + flags).code == 0);
  for (const char* name : {"features.npz", "classes.png", "eval.json"})
    write_bytes(earlier.run + "/" + name, "of the earlier run");
  const auto result = run_program("pretrain", earlier.set + " --out " + earlier.run + flags + "--overwrite");
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result, "warning: " + earlier.run +
                         " also holds classes.png, eval.json, features.npz, notes.txt, " +
                         "probe/ (1 file), which are not of the new run\n"));
  CHECK(says(result, earlier.run + ": the earlier run, with the probe results in probe, is set aside, and "
                                   "removed when this one has saved\n"));
  CHECK(!says(result, "is back"));
  std::set<std::string> expected = just_names(folder_contents(fresh));
  expected.insert({"notes.txt", "probe", "probe/notes.txt", "checkpoints/notes.txt", "features.npz",
                   "classes.png", "eval.json"});
  std::set<std::string> names = just_names(folder_contents(earlier.run));
  // The names of files of events have the time in them.
  const auto is_event = [](const std::string& name) { return name.starts_with("tensorboard/"); };
  CHECK(std::erase_if(names, is_event) == std::erase_if(expected, is_event));
  CHECK(names == expected);
  CHECK(read_bytes(earlier.run + "/encoder.safetensors") == read_bytes(fresh + "/encoder.safetensors"));
  CHECK(read_bytes(earlier.run + "/encoder.safetensors") != earlier.contents.at("encoder.safetensors"));
}

TEST_CASE(
    "--overwrite: results of probes at any depth go with the run, and all else is named, also with --quiet") {
  const EarlierRun earlier;
  const std::string deep = earlier.run + "/probes/lr0.1", lone = earlier.run + "/kept/classifier";
  for (const std::string& folder : {deep, lone, earlier.run + "/pictures/of/views", earlier.run + "/other"})
    fs::create_directories(folder);
  for (const char* name : {"/result.json", "/classifier.safetensors", "/bad_images.tsv"})
    fs::copy_file(earlier.probe + name, deep + name);
  fs::copy_file(earlier.probe + "/classifier.safetensors", lone + "/classifier.safetensors");
  write_bytes(earlier.run + "/other/result.json", "{\"top1\": 1}");  // another program's
  for (const char* name : {"/model.onnx", "/eval.json", "/features.npz", "/a.csv", "/b.csv", "/pictures/1.png",
                           "/pictures/of/views/2.png"})
    write_bytes(earlier.run + name, "of the earlier run");
  const std::string command = earlier.set + " --out " + earlier.run + tiny + "--seed 2 --quiet ";
  const auto before = folder_contents(earlier.run);
  CHECK(run_program("pretrain", command + "--overwrite --lr 1e30 --warmup-epochs 0").code == 7);
  auto after = folder_contents(earlier.run);
  after.erase("non_finite.json");  // the error names it
  CHECK(after == before);

  const auto result = run_program("pretrain", command + "--overwrite");
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result,
             "warning: " + earlier.run +
                 " also holds a.csv, b.csv, eval.json, features.npz, model.onnx, notes.txt, other/ (1 file), "
                 "pictures/ (2 files), probe/ (1 file), which are not of the new run\n"));
  for (const std::string& folder : {earlier.run + "/probes", earlier.run + "/kept"}) CHECK(!fs::exists(folder));
  CHECK(just_names(folder_contents(earlier.probe)) == std::set<std::string>{"notes.txt"});
  CHECK(read_bytes(earlier.run + "/other/result.json") == "{\"top1\": 1}");
  CHECK(fs::exists(earlier.run + "/pictures/of/views/2.png"));
}

TEST_CASE("--overwrite, killed before its first save: the next start of any kind brings the earlier run back") {
  const EarlierRun earlier;
  const TemporaryFolder other;
  const std::string slow = draw_tiny_set(other, 3, 400);
  const auto killed = kill_when_there(earlier.run + "/.kindred-run-earlier",
                                      slow + " --out " + earlier.run + tiny + "--overwrite --knn-every 0");
  CAPTURE(killed.output);
  CHECK(killed.code == 137);
  REQUIRE(!fs::exists(earlier.run + "/encoder.safetensors"));

  // A program that only reads says where the file is.
  const auto read =
      run_program("embed", earlier.set + " --device cpu --encoder " + earlier.run +
                               "/encoder.safetensors --out " + (earlier.folder / "f.npz").string());
  CAPTURE(read.output);
  CHECK(read.code == 4);
  CHECK(is_one_line_error(read));
  CHECK(says(read, "has set it aside as " + earlier.run +
                       "/.kindred-run-earlier/encoder.safetensors; after a "
                       "kill the next `pretrain` in " +
                       earlier.run + " puts it back"));

  const std::string run = earlier.folder / "copy";
  const auto start = [&](const std::string& program, const std::string& arguments, int code,
                         const std::string& text) {
    CAPTURE(arguments);
    fs::remove_all(run);
    fs::copy(earlier.run, run, fs::copy_options::recursive);
    const auto result = run_program(program, arguments);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(says(result, text));
    CHECK(says(result, run + ": the run that was to replace the one there was killed before it had saved; the "
                             "earlier run is back\n"));
  };
  const std::string to_run = earlier.set + " --out " + run + tiny,
                    encoder = " --encoder " + run + "/encoder.safetensors" + tiny_probe;
  start("pretrain", to_run, 2, "it holds results already");
  CHECK(folder_contents(run) == earlier.contents);
  start("pretrain", (earlier.folder / "mistyped").string() + " --overwrite --out " + run + tiny, 3, "mistyped");
  CHECK(folder_contents(run) == earlier.contents);
  start("pretrain", to_run + "--overwrite --weights " + run + "/mistyped", 4, "mistyped");
  CHECK(folder_contents(run) == earlier.contents);
  start("linear_probe", earlier.set + encoder + "--out " + run + "/probe", 2, "it holds results already");
  CHECK(folder_contents(run) == earlier.contents);
  start("linear_probe", earlier.set + encoder + "--overwrite --out " + run, 2, "it holds a run of pretrain");
  CHECK(folder_contents(run) == earlier.contents);
  start("linear_probe", earlier.set + encoder + "--out " + (earlier.folder / "elsewhere").string(), 0, "top-1");
  CHECK(folder_contents(run) == earlier.contents);
  start("pretrain", to_run + "--seed 1 --resume", 0, "finished already");
  CHECK(read_bytes(run + "/encoder.safetensors") == earlier.contents.at("encoder.safetensors"));
  CHECK(read_bytes(run + "/probe/result.json") == earlier.contents.at("probe/result.json"));
  start("pretrain", to_run + "--seed 2 --overwrite", 0, "the earlier run, with the probe results in probe,");
  CHECK(read_bytes(run + "/encoder.safetensors") != earlier.contents.at("encoder.safetensors"));
  CHECK(just_names(folder_contents(run + "/probe")) == std::set<std::string>{"notes.txt"});
}

TEST_CASE("--overwrite, killed after its first save: the next start removes what is left of the earlier run") {
  const EarlierRun earlier;
  for (const std::string name :
       {"/.kindred-run-earlier/config.json", "/.kindred-run-earlier/encoder.safetensors",
        "/checkpoints/.kindred-run-part/step-000000900.safetensors", "/probe/.kindred-run-part/result.json"}) {
    fs::create_directories(fs::path(earlier.run + name).parent_path());
    write_bytes(earlier.run + name, "an even earlier run's");
  }
  const auto result = run_program("pretrain", earlier.set + " --out " + earlier.run + tiny);
  CAPTURE(result.output);
  CHECK(result.code == 2);
  CHECK(!says(result, "is back"));
  CHECK(folder_contents(earlier.run) == earlier.contents);
}

TEST_CASE(
    "a start that fails leaves nothing but the list of bad images, and the corrected command needs no flag") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "runs/new";
  const std::string command = set + " --out " + run + tiny, classifier = folder / "p/classifier.safetensors";
  REQUIRE(run_program("linear_probe", set + " --untrained resnet20 --image-size 32 --out " +
                                          (folder / "p").string() + tiny_probe)
              .code == 0);
  const auto fails = [&](const std::string& flags, int code) {
    CAPTURE(flags);
    const auto result = run_program("pretrain", command + flags);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
  };
  for (const std::string weights : {"/mistyped", "/p/classifier.safetensors"}) {
    fails("--weights " + folder.path.string() + weights, 4);
    CHECK(!fs::exists(folder / "runs"));
  }
  fails("--resume --weights " + classifier, 4);
  CHECK(!fs::exists(folder / "runs"));
  fs::create_directories(run);
  write_bytes(run + "/notes.txt", "the user's");
  fails("--weights " + classifier, 4);
  CHECK(just_names(folder_contents(run)) == std::set<std::string>{"notes.txt"});

  const fs::path image = first_image(set);
  const std::string bytes = read_bytes(image);
  write_bytes(image, "no picture");
  for (int again = 0; again < 2; ++again) {
    fails("--strict", 3);
    CHECK(just_names(folder_contents(run)) == std::set<std::string>{"bad_images.tsv", "notes.txt"});
  }
  write_bytes(image, bytes);
  fails("--lr 1e30 --warmup-epochs 0", 7);
  CHECK(just_names(folder_contents(run)) == std::set<std::string>{"non_finite.json", "notes.txt"});

  const auto corrected = run_program("pretrain", command);
  CAPTURE(corrected.output);
  CHECK(corrected.code == 0);
  CHECK(!says(corrected, "earlier"));
  CHECK(!fs::exists(run + "/non_finite.json"));
}

TEST_CASE("a folder with files of a start and no results is taken over without a word, also by --resume") {
  const TemporaryFolder folder, other;
  const std::string set = draw_tiny_set(folder), slow = draw_tiny_set(other, 3, 400), run = folder / "run";
  for (const std::string flag : {"", "--resume"}) {
    CAPTURE(flag);
    fs::remove_all(run);
    const auto killed =
        kill_when_there(run + "/config.json", slow + " --out " + run + tiny + "--knn-every 0 --seed 7");
    CHECK(killed.code == 137);
    REQUIRE(!fs::exists(run + "/encoder.safetensors"));
    const auto result = run_program("pretrain", set + " --out " + run + tiny + flag);
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(!says(result, "earlier"));
    CHECK(!says(result, "changed"));

    fs::remove_all(run);
    fs::create_directories(run + "/checkpoints");
    for (const char* name : {"/plans.json", "/bad_images.tsv", "/non_finite.json"})
      write_bytes(run + name, "path\toutcome\treason\nof a start before\n");
    write_bytes(run + "/config.json",
                "{\"data_fingerprint\": \"of other images\"}");  // by this a start's is known
    write_bytes(run + "/metrics.jsonl", "");
    const auto after_rubbish = run_program("pretrain", set + " --out " + run + tiny + flag);
    CAPTURE(after_rubbish.output);
    CHECK(after_rubbish.code == 0);
    CHECK(!says(after_rubbish, "earlier"));
    CHECK(read_bytes(run + "/bad_images.tsv") == "path\toutcome\treason\n");
    CHECK(!fs::exists(run + "/non_finite.json"));
  }
  // A line of metrics is a result, and so is what a probe left in a folder inside.
  fs::remove_all(run);
  fs::create_directories(run + "/probe");
  write_bytes(run + "/metrics.jsonl", "{}\n");
  CHECK(run_program("pretrain", set + " --out " + run + tiny).code == 2);
  fs::remove(run + "/metrics.jsonl");
  write_bytes(run + "/probe/result.json", "{}");
  write_bytes(run + "/probe/classifier.safetensors", "weights");
  const auto refused = run_program("pretrain", set + " --out " + run + tiny);
  CHECK(refused.code == 2);
  CHECK(says(refused,
             "a folder inside it holds results of a probe already; give another folder, or --overwrite"));
  CHECK(just_names(folder_contents(run)) ==
        std::set<std::string>{"probe", "probe/classifier.safetensors", "probe/result.json"});
}

TEST_CASE("linear_probe --overwrite: the earlier result stays until the new one is complete") {
  const EarlierRun earlier;
  const auto fails = [&](const std::string& prefix, const std::string& arguments, int code) {
    CAPTURE(arguments);
    const auto result = run_program_with(prefix, "linear_probe", arguments);
    CAPTURE(result.output);
    CHECK(result.code == code);
    CHECK(is_one_line_error(result));
    CHECK(folder_contents(earlier.run) == earlier.contents);
    return result;
  };
  fails("",
        earlier.set + " --encoder " + earlier.run + "/mistyped --overwrite --out " + earlier.probe + tiny_probe,
        4);
  const auto full = fails("ulimit -f 1;", earlier.probe_command("--overwrite"), 6);
  CHECK(says(full, earlier.probe + ": nothing new was saved; the earlier result is back\n"));

  // Killed before the last of the three files.
  const std::string hidden = earlier.probe + "/.kindred-probe-earlier";
  fs::create_directories(hidden);
  for (const char* name : {"/result.json", "/classifier.safetensors", "/bad_images.tsv"})
    fs::rename(earlier.probe + name, hidden + name);
  write_bytes(earlier.probe + "/classifier.safetensors", "of the new probe");
  const auto after_kill = fails("", earlier.probe_command(""), 2);
  CHECK(says(after_kill, "was killed; the earlier result is back\n"));

  // Killed after it.
  fs::create_directories(hidden);
  write_bytes(hidden + "/result.json", "an even earlier probe's");
  CHECK(!says(fails("", earlier.probe_command(""), 2), "is back"));

  // Another process is at it.
  {
    const RunLock lock(earlier.probe);
    CHECK(says(fails("", earlier.probe_command("--overwrite"), 2), "another process"));
    const auto around = run_program("pretrain", earlier.set + " --out " + earlier.run + tiny + "--overwrite");
    CHECK(around.code == 2);
    CHECK(says(around, "another process is writing to " + earlier.probe));
    CHECK(folder_contents(earlier.run) == earlier.contents);
  }

  CHECK(run_program("linear_probe", earlier.probe_command("--overwrite --lr 0.05")).code == 0);
  const Contents after = folder_contents(earlier.run);
  CHECK(just_names(after) == just_names(earlier.contents));
  CHECK(after.at("probe/result.json").find("0.05") != std::string::npos);
  CHECK(after.at("probe/classifier.safetensors") != earlier.contents.at("probe/classifier.safetensors"));
  CHECK(after.at("encoder.safetensors") == earlier.contents.at("encoder.safetensors"));
}

TEST_CASE("linear_probe: a start that fails leaves nothing, and a list of bad images is no result") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), out = folder / "new/probe";
  const std::string command = set + " --untrained resnet20 --image-size 32 --out " + out + tiny_probe;
  CHECK(run_program("linear_probe", set + " --encoder " + set + "/mistyped --out " + out).code == 4);
  CHECK(!fs::exists(folder / "new"));
  CHECK(run_program_with("ulimit -f 1;", "linear_probe", command).code == 6);
  CHECK(!fs::exists(folder / "new"));
  fs::create_directories(out);
  write_bytes(out + "/bad_images.tsv", "path\toutcome\treason\na.jpg\trejected\tempty\n");
  const auto result = run_program("linear_probe", command);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(just_names(folder_contents(out)) ==
        std::set<std::string>{"bad_images.tsv", "classifier.safetensors", "result.json"});
  CHECK(run_program("linear_probe", command).code == 2);
}

}  // namespace
}  // namespace kindred
