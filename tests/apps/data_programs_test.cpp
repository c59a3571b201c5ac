// check_data and pack_dataset as a user runs them, and training on the sets that they accept and make.
#include "programs.h"

#include <fmt/core.h>
#include <kindred/data/images/decode.h>
#include <kindred/engine/files/json_text.h>

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("check_data: a good set is accepted, counted, drawn, and left as it was") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::size_t before = folder_fingerprint(set);
  const std::string out = (folder / "out").string(), json = (folder / "counts.json").string();
  const auto result =
      run_program("check_data", set + " --views --image-size 32 --out " + out + " --json " + json);
  CAPTURE(result.output);
  CHECK(result.code == 0);
  const auto counts = json_file(json);
  CHECK(counts["files"] == 30);  // 3 classes of 8 and 2
  CHECK(counts["ok"] == 30);
  CHECK(counts["damaged"] == 0);
  CHECK(counts["rejected"] == 0);
  CHECK(counts["accepted"] == true);
  CHECK(counts["splits"]["train"]["formats"]["JPEG"]["ok"] == 24);
  CHECK(counts["splits"]["evaluation"]["files"] == 6);
  for (const char* picture :
       {"classes.png", "sizes.png", "contact_train.png", "contact_evaluation.png", "views.png"})
    CHECK(decode_file((fs::path(out) / picture).string()).outcome == Outcome::ok);
  const std::string page = read_bytes(fs::path(out) / "check_data.html");
  CHECK(page.find("Training would accept this set.") != std::string::npos);
  for (const auto& of_class : counts["splits"]["train"]["classes"])
    CHECK(page.find(of_class["name"].get<std::string>()) != std::string::npos);
  CHECK(says(result, "pictures and check_data.html: " + out));
  const std::string none = (folder / "none").string();
  CHECK(run_program("check_data", set + " --no-pictures --out " + none).code == 0);
  CHECK(!fs::exists(none));
  CHECK(folder_fingerprint(set) == before);
}

TEST_CASE("check_data: what is odd is named, and what training would not accept ends with code 3") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), json = (folder / "counts.json").string();
  const std::string flags = " --no-pictures --json " + json;
  const fs::path train = fs::path(set) / "train", one = fs::directory_iterator(train)->path();
  const std::string image = read_bytes(one / "00000.jpg");
  write_bytes(one / "00001.jpg", image.substr(0, image.size() - 2));  // without its end marker
  write_bytes(one / "00002.jpg", "no image");
  write_bytes(one / "00003.png", image);
  write_bytes(one / "notes.txt", "x");
  auto result = run_program("check_data", set + flags);
  CHECK(result.code == 0);
  CHECK(says(result, "damaged: "));
  CHECK(says(result, "00002.jpg: rejected: not an image file of a known format"));
  CHECK(says(result, "00003.png: its name says PNG, it is JPEG"));
  CHECK(says(result, "the same bytes as "));
  CHECK(says(result, "notes.txt: not part of the set"));
  auto counts = json_file(json);
  CHECK(counts["files"] == 31);
  CHECK(counts["ok"] == 29);
  CHECK(counts["damaged"] == 1);
  CHECK(counts["rejected"] == 1);
  CHECK(counts["odd"].size() == 5);
  CHECK(run_program("check_data", set + flags + " --max-bad 0").code == 3);
  const auto share = run_program("check_data", set + flags + " --max-bad 3%");  // of 25 images, rounded down
  CHECK(share.code == 3);
  CHECK(says(share, "1 of 25 training images are rejected, more than --max-bad 3%"));
  CHECK(run_program("check_data", set + flags + " --max-bad 4%").code == 0);
  const auto no_limit = run_program("check_data", set + flags + " --max-bad many");
  CHECK(no_limit.code == 2);
  CHECK(
      says(no_limit, "--max-bad many: expected a number of images, 0 or more, or a share of them, 0% to 100%"));
  CHECK(run_program("check_data", set + flags + " --strict").code == 3);
  for (int i = 0; i < 8; ++i) write_bytes(one / fmt::format("{:05}.jpg", i), "no image");
  fs::remove(one / "00003.png");
  result = run_program("check_data", set + flags);
  CHECK(result.code == 3);
  CHECK(says(result, "none of its 8 images can be decoded"));
  CHECK(json_file(json)["accepted"] == false);
}

TEST_CASE("check_data: a folder that is no set is looked at all the same") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const fs::path class_folder = fs::directory_iterator(fs::path(set) / "train")->path();
  const auto result =
      run_program("check_data", class_folder.string() + " --no-pictures --json " + (folder / "j").string());
  CHECK(result.code == 3);
  CHECK(says(result, "there is no folder 'train' in it"));
  CHECK(json_file(folder / "j")["ok"] == 8);
  CHECK(run_program("check_data", (folder / "missing").string()).code == 3);
  CHECK(run_program("check_data", set + " --out " + set + "/pictures").code == 2);  // never into the set
  CHECK(!fs::exists(set + "/pictures"));
}

TEST_CASE("pack_dataset: training on a pack ends with the bytes of training on the folder") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), pack = (folder / "set.kpack").string();
  const std::size_t before = folder_fingerprint(set);
  const auto packed = run_program("pack_dataset", set + " " + pack);
  CAPTURE(packed.output);
  CHECK(packed.code == 0);
  CHECK(folder_fingerprint(set) == before);
  CHECK(says(run_program("pack_dataset", set + " " + pack), "there already, complete"));
  CHECK(run_program("pretrain", set + " --out " + (folder / "a").string() + tiny).code == 0);
  CHECK(run_program("pretrain", pack + " --out " + (folder / "b").string() + tiny).code == 0);
  CHECK(read_bytes(folder / "a/encoder.safetensors") == read_bytes(folder / "b/encoder.safetensors"));
  CHECK(run_program("check_data", pack + " --no-pictures").code == 0);
  CHECK(run_program("pack_dataset", set + " " + set + "/x.kpack").code == 2);
  CHECK(run_program("pack_dataset", set + " " + (folder / "q").string() + " --quality 80").code == 2);
  const auto small = run_program("pack_dataset", set + " " + (folder / "small").string() + " --max-side 16");
  CHECK(says(small, "30 were shrunk to 16 pixels"));

  std::string bytes = read_bytes(pack);
  write_bytes(pack, bytes.substr(0, bytes.size() / 2));
  const auto cut = run_program("pretrain", pack + " --out " + (folder / "c").string() + tiny);
  CHECK(cut.code == 3);
  CHECK(says(cut, "set.kpack: it has"));
  bytes[200] = static_cast<char>(bytes[200] ^ 1);
  write_bytes(pack, bytes);
  const auto flipped = run_program("check_data", pack + " --no-pictures");
  CHECK(says(flipped, "record 0"));
  CHECK(says(flipped, "differs from its checksum"));
  CHECK(run_program("check_data", pack + " --no-pictures --strict").code == 3);
}

TEST_CASE("pack_dataset: stopped by a full disk it leaves no pack, and goes on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 40), pack = (folder / "set.kpack").string();
  const auto full = run_program_with("ulimit -f 60;", "pack_dataset", set + " " + pack);
  CAPTURE(full.output);
  CHECK(full.code == 6);
  CHECK(is_one_line_error(full));
  CHECK(!fs::exists(pack));
  CHECK(run_program("pretrain", pack + ".partial --out " + (folder / "r").string() + tiny).code == 3);
  CHECK(run_program("pack_dataset", set + " " + pack).code == 0);
  CHECK(run_program("check_data", pack + " --no-pictures --strict").code == 0);
}

TEST_CASE("make_toy_dataset: where files may not grow it says so, and goes on when they may") {
  const TemporaryFolder folder;
  const std::string command = (folder / "toy").string() + " --classes 2 --per-class 4 --image-size 256";
  const auto full = run_program_with("ulimit -f 1;", "make_toy_dataset", command);
  CAPTURE(full.output);
  CHECK(full.code == 6);
  CHECK(is_one_line_error(full));
  CHECK(says(full, "files may not grow that large here: raise the limit (ulimit -f)\n"));
  CHECK(run_program("make_toy_dataset", command).code == 0);
  CHECK(run_program("check_data", (folder / "toy").string() + " --no-pictures --strict").code == 0);
}

TEST_CASE("pretrain and linear_probe hold out images where a set has none to evaluate on") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = (folder / "run").string();
  fs::remove_all(set + "/val");
  const std::string held = " --val-fraction 0.25 ";
  CHECK(run_program("pretrain", set + held + "--per-class 4 --sampling inverse-frequency --out " + run + tiny)
            .code == 0);
  CHECK(read_bytes(run + "/metrics.jsonl").find("\"knn_top1\":null") == std::string::npos);
  CHECK(json_file(run + "/config.json")["sampling"] == "inverse-frequency");
  const std::string probe = (folder / "probe").string();
  CHECK(run_program("linear_probe",
                    set + held + "--encoder " + run + "/encoder.safetensors --epochs 2 --out " + probe)
            .code == 0);
  CHECK(json_file(probe + "/result.json")["images"] == 6);
  CHECK(json_file(probe + "/result.json")["train_images"] == 18);
  CHECK(run_program("pretrain", set + " --per-class 3 --out " + run + "2" + tiny).code == 2);
}

TEST_CASE("check_data: pictures that a pack has shrunk are not misnamed, and one thing is not things") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), pack = (folder / "small.kpack").string();
  const fs::path one = fs::directory_iterator(fs::path(set) / "train")->path();
  fs::rename(one / "00000.jpg", one / "00000.png");
  const auto loose = run_program("check_data", set + " --no-pictures");
  CHECK(says(loose, "\n1 odd thing\n"));
  CHECK(says(loose, "  8 images in each class\n"));
  CHECK(run_program("pack_dataset", set + " " + pack + " --max-side 16").code == 0);
  const auto shrunk = run_program("check_data", pack + " --no-pictures");
  CAPTURE(shrunk.output);
  CHECK(shrunk.code == 0);
  CHECK(!says(shrunk, "its name says"));
}

TEST_CASE("pretrain says how many positives an anchor has") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 12, 4);
  const std::string flags = set + " --dry-run" + tiny + "--out " + (folder / "run").string();
  CHECK(says(run_program("pretrain", flags), "an anchor has "));
  const auto lonely = run_program("pretrain", flags + " --views 1");
  CHECK(says(lonely, "of the anchors have no positive and contribute nothing"));
  CHECK(!says(run_program("pretrain", flags + " --views 1 --per-class 2"), "warning"));
  CHECK(says(lonely, "--views 2, --per-class 2 or a larger --batch-size gives them positives\n"));
  // Nothing is offered that would not help: with all images in the batch, and with classes of one image.
  for (const auto& entry : fs::directory_iterator(fs::path(set) / "train"))
    for (const char* name : {"00001.jpg", "00002.jpg", "00003.jpg"}) fs::remove(entry.path() / name);
  for (const char* batch : {" -b 12", " -b 6"}) {
    const auto single = run_program("pretrain", flags + batch);
    CAPTURE(single.output);
    CHECK(says(single, "only their own other view; the set has no others\n"));
    CHECK(!says(single, "--per-class"));
  }
}

}  // namespace
}  // namespace kindred
