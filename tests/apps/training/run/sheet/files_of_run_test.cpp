// The picture of views and the projector's files in the folder of a run, as a user meets them.
#include "../../../metrics/event_reader.h"
#include "../../../programs.h"

#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/metrics/projector_files.h>
#include <kindred/data/images/jpeg_writer.h>

#include <signal.h>  // defines: SIGTERM
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::set<std::string> projector_names = {"projector_config.pbtxt", "projector_features.tsv",
                                               "projector_metadata.tsv", "projector_sprite.jpg"};

std::set<std::string> projector_files_of(const std::string& run) {
  std::set<std::string> names;
  if (!fs::exists(run + "/tensorboard")) return names;
  for (const auto& entry : fs::directory_iterator(run + "/tensorboard"))
    if (is_projector_file_name(entry.path().filename())) names.insert(entry.path().filename());
  return names;
}

// A photograph of the user's, as a camera writes it.
std::string photograph() {
  Image image(20, 30);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * i / 5);
  const std::vector<std::uint8_t> bytes = encode_jpeg(image, 90);
  return with_text(std::string(bytes.begin(), bytes.end()), "Views of our garden");
}

// Of the one file of events.
std::vector<test::PictureEvent> pictures_of_run(const std::string& run) {
  std::vector<test::PictureEvent> pictures;
  for (const auto& entry : fs::directory_iterator(run + "/tensorboard"))
    if (is_event_file_name(entry.path().filename()))
      for (test::PictureEvent& picture : test::pictures_of(read_bytes(entry.path())))
        pictures.push_back(std::move(picture));
  return pictures;
}

std::size_t lines_of(const std::string& file) {
  const std::string bytes = read_bytes(file);
  return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

TEST_CASE("views.jpg and the projector of a run: there after it, once after a crash, and the same" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", again = folder / "again";
  const std::string flags = tiny + "--epochs 3 --seed 4 ";
  run_until_checkpoint(set, run, flags);
  CHECK(fs::exists(run + "/views.jpg"));
  for (const auto& entry : fs::directory_iterator(run + "/tensorboard")) {
    const std::string bytes = read_bytes(entry.path());
    write_bytes(entry.path(), bytes.substr(0, bytes.size() - 3));
  }
  const auto resumed = run_program("pretrain", set + " --out " + run + flags + "--resume");
  CAPTURE(resumed.output);
  REQUIRE(resumed.code == 0);
  REQUIRE(run_program("pretrain", set + " --out " + again + flags).code == 0);
  const std::string sheet = read_bytes(run + "/views.jpg");
  CHECK(sheet.size() > 9000);
  CHECK(read_bytes(again + "/views.jpg") == sheet);
  const auto pictures = pictures_of_run(run);
  REQUIRE(pictures.size() == 1);
  CHECK(pictures[0].step == 0);
  CHECK(pictures[0].encoded == sheet);
  CHECK(projector_files_of(run) == projector_names);
  CHECK(lines_of(run + "/tensorboard/projector_features.tsv") == 6);  // two images of each class
  CHECK(lines_of(run + "/tensorboard/projector_metadata.tsv") == 7);
  CHECK(read_bytes(run + "/tensorboard/projector_config.pbtxt").find("after epoch 3\"") != std::string::npos);

  // A finished run is not drawn again.
  fs::remove(run + "/views.jpg");
  fs::remove(run + "/tensorboard/projector_config.pbtxt");
  CHECK(run_program("pretrain", set + " --out " + run + flags + "--resume").code == 0);
  CHECK(!fs::exists(run + "/views.jpg"));
  CHECK(!fs::exists(run + "/tensorboard/projector_config.pbtxt"));
}

TEST_CASE(
    "views.jpg and the projector of a run: without TensorBoard the picture alone, without neighbours no "
    "projector" *
    doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), without = folder / "without", blind = folder / "blind";
  REQUIRE(run_program("pretrain", set + " --out " + without + tiny + "--no-tensorboard").code == 0);
  CHECK(read_picture(without + "/views.jpg"));
  CHECK(!fs::exists(without + "/tensorboard"));
  REQUIRE(run_program("pretrain", set + " --out " + blind + tiny + "--knn-every 0").code == 0);
  CHECK(pictures_of_run(blind).size() == 1);
  CHECK(projector_files_of(blind).empty());
}

TEST_CASE(
    "views.jpg and the projector of a run: --overwrite takes them along, and a signal before the first step "
    "brings them back" *
    doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", weights = folder / "weights";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny + "--seed 1").code == 0);
  fs::create_directories(weights);
  fs::copy_file(run + "/encoder.safetensors", weights + "/encoder.safetensors");
  const auto before = folder_contents(run);
  const std::string command = set + " --out " + run + tiny + "--seed 2 --overwrite";
  const auto stopped = run_until_it_opens(weights, SIGTERM, "pretrain",
                                          command + " --weights " + weights + "/encoder.safetensors");
  CAPTURE(stopped.output);
  CHECK(stopped.code == 8);
  if (says(stopped, "a checkpoint of step "))
    MESSAGE("the signal came after the first step");
  else
    CHECK(folder_contents(run) == before);
  // The end is as bad as the start was good: nothing of the new run stays.
  const auto failed = run_program("pretrain", command + " --lr 1e30 --warmup-epochs 0");
  CHECK(failed.code == 7);
  CHECK(read_bytes(run + "/views.jpg") == before.at("views.jpg"));
  REQUIRE(run_program("pretrain", command).code == 0);
  CHECK(read_bytes(run + "/views.jpg") != before.at("views.jpg"));
  CHECK(projector_files_of(run) == projector_names);
  CHECK(pictures_of_run(run).size() == 1);
}

TEST_CASE(
    "views.jpg and the projector of a run: what is the user's stays, and what stands in the way is said") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", users = folder / "users";
  fs::create_directories(run);
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  const auto refused =
      run_program("pretrain", set + " --out " + folder.path.string() +
                                  "/new --dry-run --gpu h100 --prediction " + run + "/views.jpg" + tiny);
  CHECK(refused.code == 2);
  CHECK(says(refused, "a file of this name belongs to the run in " + run));
  if (!writes_events()) return;
  // Links are replaced; a folder in the place of one of the projector's files is a warning.
  fs::create_directories(users);
  write_bytes(users + "/picture", "the user's");
  fs::remove(run + "/views.jpg");
  fs::create_symlink(users + "/picture", run + "/views.jpg");
  fs::remove(run + "/tensorboard/projector_sprite.jpg");
  fs::create_directories(run + "/tensorboard/projector_sprite.jpg/inside");
  const auto longer =
      run_program("pretrain", set + " --out " + run + tiny + "--epochs 2 --resume --allow-change");
  CAPTURE(longer.output);
  CHECK(longer.code == 0);
  CHECK(says(longer, "warning: " + run + "/tensorboard has no features for the projector: "));
  CHECK(read_bytes(users + "/picture") == "the user's");
  CHECK(!fs::is_symlink(run + "/views.jpg"));
  CHECK(read_picture(run + "/views.jpg"));
  CHECK(!fs::exists(run + "/tensorboard/projector_config.pbtxt"));
  CHECK(fs::exists(run + "/tensorboard/projector_sprite.jpg/inside"));
  CHECK(pictures_of_run(run).size() == 1);
}

TEST_CASE("views.jpg and report.html that no run drew: no start touches them, and warnings name them") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", sheet = run + "/views.jpg";
  const std::string command = set + " --out " + run + tiny, photo = photograph(), page = "<p>my own</p>";
  const std::string stays =
      "warning: " + sheet + " was not drawn by a run, so it stays, and this run draws none";
  const auto check_kept = [&](const ProgramResult& result) {
    CAPTURE(result.output);
    CHECK(result.code == 0);
    CHECK(says(result, stays));
    CHECK(read_bytes(sheet) == photo);
    CHECK(read_bytes(run + "/report.html") == page);
    if (writes_events()) CHECK(pictures_of_run(run).empty());
  };
  fs::create_directories(run);
  write_bytes(sheet, photo);
  write_bytes(run + "/report.html", page);
  check_kept(run_program("pretrain", command + "--seed 1"));
  // As if an earlier version had made this run.
  check_kept(run_program("pretrain", command + "--seed 1 --epochs 2 --resume --allow-change"));
  const auto replaced = run_program("pretrain", command + "--seed 2 --overwrite");
  check_kept(replaced);
  CHECK(says(replaced, "also holds report.html, views.jpg, which are not of the new run"));
  // Neither does a start that ends without results.
  const auto failed = run_program("pretrain", command + "--overwrite --lr 1e30 --warmup-epochs 0");
  CHECK(failed.code == 7);
  CHECK(read_bytes(sheet) == photo);
  CHECK(read_bytes(run + "/report.html") == page);
  // With the name free, the next start draws again, and takes away what it drew.
  fs::rename(sheet, run + "/garden.jpg");
  REQUIRE(run_program("pretrain", command + "--seed 3 --overwrite").code == 0);
  CHECK(read_views_sheet(sheet));
  const std::string drawn = read_bytes(sheet);
  REQUIRE(run_program("pretrain", command + "--seed 4 --overwrite").code == 0);
  CHECK(read_bytes(sheet) != drawn);
  CHECK(read_bytes(run + "/garden.jpg") == photo);
}

TEST_CASE("views.jpg and report.html: folders of these names stand in no run's way") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  for (const char* name : {"/views.jpg", "/report.html"}) fs::create_directories(run + name + "/inside");
  const auto trained = run_program("pretrain", set + " --out " + run + tiny);
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  CHECK(says(trained, "warning: " + run + "/views.jpg was not drawn by a run, so it stays"));
  for (const char* name : {"/views.jpg", "/report.html"}) CHECK(fs::exists(run + name + "/inside"));
}

TEST_CASE("views.jpg of a run that goes on: TensorBoard has it, also if it is drawn behind the figures" *
          doctest::skip(!writes_events())) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  const std::string flags = tiny + "--epochs 8 --seed 4 ";
  run_until_checkpoint(set, run, flags);
  // The killed run has come further than its checkpoint, so its figures are written before the picture is drawn.
  write_bytes(run + "/metrics.jsonl", read_bytes(run + "/metrics.jsonl") + "{\"epoch\": 8}\n");
  fs::remove(run + "/views.jpg");
  const auto resumed = run_program("pretrain", set + " --out " + run + flags + "--resume");
  CAPTURE(resumed.output);
  REQUIRE(resumed.code == 0);
  const auto pictures = pictures_of_run(run);
  REQUIRE(pictures.size() == 1);
  CHECK(pictures[0].encoded == read_bytes(run + "/views.jpg"));
}

TEST_CASE("views.jpg of a run: where no bytes can be written it is a warning") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  // 4 KiB, or 8 in some shells: of the files at the start this one alone has more.
  const auto result = run_program_with("ulimit -f 8;", "pretrain", set + " --out " + run + tiny);
  CAPTURE(result.output);
  CHECK(says(result, "warning: " + run + "/views.jpg was not drawn: "));
  CHECK(!fs::exists(run + "/views.jpg"));
  CHECK(says(result, "epoch 1/1"));  // and the run goes on
}

}  // namespace
}  // namespace kindred
