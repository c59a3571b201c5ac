// `report` and `pretrain --report` as a user runs them.
#include "../programs.h"
#include "drawn_runs.h"

#include <kindred/apps/report/report_page.h>
#include <kindred/apps/training/run/checkpoint_folder.h>

#include <fmt/core.h>

namespace kindred {
namespace {

using test::random_lines;
using test::settings_of_drawn_run;
using test::write_run;

// The numbers that a page carries for its scripts.
nlohmann::json data_in_page(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const std::size_t from = page.find(begin) + begin.size();
  REQUIRE(from > begin.size());
  return nlohmann::json::parse(page.substr(from, page.find("</script>", from) - from));
}

bool holds(const std::string& page, const std::string& text) {
  return page.find(text) != std::string::npos;
}

TEST_CASE("report: a small run from its training to its page") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder, 3, 16), run = folder / "run", page = folder / "page.html";
  const auto trained = run_program("pretrain", set + " --out " + run + tiny + "--seed 3");
  CAPTURE(trained.output);
  REQUIRE(trained.code == 0);
  const auto before = folder_contents(folder.path);
  const auto drawn = run_program("report", run + " --out " + page);
  CAPTURE(drawn.output);
  REQUIRE(drawn.code == 0);
  auto after = folder_contents(folder.path);
  const std::string html = after["page.html"];
  after.erase("page.html");
  CHECK(after == before);  // it writes nothing else

  CHECK(html.size() < 5'000'000);
  const nlohmann::json data = data_in_page(html);
  CHECK(data.at("charts").size() > 5);
  CHECK(holds(html, "id=\"chart-loss\""));
  CHECK(holds(html, "finished: 1 of 1 epoch"));
  CHECK(holds(html, "Views as the network sees them"));
  CHECK(holds(html, "data:image/jpeg;base64,"));
  CHECK(!holds(html, "src=\"http"));
  if (holds(html, "this build has no FAISS")) {
    MESSAGE("without FAISS a report shows no neighbours");
    return;
  }
  for (const char* part : {"id=\"confusion\"", "Nearest neighbours", "class=\"map\"", "Labels that look wrong"})
    CHECK(holds(html, part));
  const nlohmann::json& confusion = data.at("confusion");
  CHECK(confusion.at("names").size() == 3);
  std::int64_t images = 0;
  for (const nlohmann::json& of_class : confusion.at("of")) images += of_class.get<std::int64_t>();
  CHECK(images == 12);  // the images to evaluate on
  CHECK(data.at("map").at("count") == 12);
  // Chance is that of the run's own set, and of another one it is not known.
  CHECK(holds(html, ", chance 0."));
  const TemporaryFolder elsewhere;
  const auto of_other =
      run_program("report", run + " --data " + draw_tiny_set(elsewhere, 2, 8) + " --out " + page);
  CAPTURE(of_other.output);
  CHECK(of_other.code == 0);
  CHECK(holds(read_bytes(page), "is not the set that the run was trained on"));
  CHECK(!holds(read_bytes(page), ", chance 0."));
  // The same again, but for the time that it says.
  const auto fewer = run_program("report", run + " --limit 5 --quiet --out " + page);
  CHECK(fewer.code == 0);
  CHECK(data_in_page(read_bytes(page)).at("map").at("count") == 5);
}

TEST_CASE("report: a set that is gone is a warning, one that is asked for and gone an error") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", random_lines(10, 1), settings_of_drawn_run(10));
  const std::string page = folder / "page.html", asked = run.string() + " --out " + page;
  const auto drawn = run_program("report", asked);
  CAPTURE(drawn.output);
  CHECK(drawn.code == 0);
  CHECK(says(drawn, "warning: images are left out: "));
  CHECK(holds(read_bytes(page), "images are left out: "));
  const auto none = run_program("report", asked + " --no-images");
  CHECK(none.code == 0);
  CHECK(!says(none, "warning"));
  const auto other = run_program("report", asked + " --data " + (folder / "elsewhere").string());
  CHECK(other.code == 3);
  CHECK(is_one_line_error(other));
}

TEST_CASE("report: what is wrong with a run's files is told on the console and on the page") {
  const TemporaryFolder folder;
  auto lines = random_lines(9, 1);
  lines.erase(lines.begin() + 2);
  const auto run = write_run(folder, "run", lines, settings_of_drawn_run(9));
  std::string text = test::as_text(lines);
  write_bytes(run / "metrics.jsonl", text.substr(0, text.size() - 30));
  write_bytes(run / "config.json", "{\"epochs\": ");
  const auto other = write_run(folder, "other", random_lines(4, 2), settings_of_drawn_run(4));
  const std::string page = folder / "page.html";
  for (const std::string& runs : {run.string(), run.string() + " " + other.string()}) {
    CAPTURE(runs);
    const std::string before = runs == run.string() ? "warning: " : "warning: run: ";
    const auto drawn = run_program("report", runs + " --quiet --no-images --out " + page);
    CAPTURE(drawn.output);
    REQUIRE(drawn.code == 0);
    const std::string html = read_bytes(page);
    for (const char* const what : {"the last line of metrics.jsonl is cut off and left out",
                                   "config.json is left out: ", "1 epoch has no line in metrics.jsonl: 3;"}) {
      CAPTURE(what);
      const std::string line = before + what;
      const std::size_t at = drawn.output.find(line);
      CHECK(at != std::string::npos);
      CHECK(drawn.output.find(line, at + 1) == std::string::npos);  // once
      CHECK(holds(html, what));
    }
  }
}

TEST_CASE("report: a page that cannot be written is known before the images are looked at") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", random_lines(3, 1), settings_of_drawn_run(3));
  const auto before = folder_contents(folder.path);
  // Without its folder the page is refused, and not the set, which is not there either.
  const auto refused = run_program("report", run.string() + " --data " + (folder / "set").string() + " --out " +
                                                 (folder / "no/page.html").string());
  CAPTURE(refused.output);
  CHECK(refused.code == 6);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, "its folder does not exist: create it"));
  CHECK(folder_contents(folder.path) == before);
}

TEST_CASE("report: settings that are none are named by their file, not by a flag of another program") {
  const TemporaryFolder folder;
  nlohmann::json config = settings_of_drawn_run(3);
  config["temperature"] = "warm";
  const auto run = write_run(folder, "run", random_lines(3, 1), config);
  const auto drawn = run_program("report", run.string() + " --out " + (folder / "page.html").string());
  CAPTURE(drawn.output);
  CHECK(drawn.code == 0);
  CHECK(says(drawn, "config.json: temperature is \"warm\""));
  CHECK(says(drawn, "; give the set by --data"));
  CHECK(!says(drawn, "--config"));
}

TEST_CASE("report: commands of shards that a config.json names are not run") {
  const TemporaryFolder folder;
  nlohmann::json config = settings_of_drawn_run(3);
  config["shards"] = {"pipe:touch " + (folder / "was_run").string()};
  config["data"] = "pipe:touch";
  const auto run = write_run(folder, "run", random_lines(3, 1), config);
  const auto drawn = run_program("report", run.string() + " --out " + (folder / "page.html").string());
  CAPTURE(drawn.output);
  CHECK(drawn.code == 0);
  CHECK(says(drawn, "which is not run here"));
  CHECK(!std::filesystem::exists(folder / "was_run"));
}

TEST_CASE("report: four runs over each other") {
  const TemporaryFolder folder;
  std::string runs;
  for (int i = 0; i < 4; ++i) {
    nlohmann::json config = settings_of_drawn_run(20);
    config["lr"] = 0.1 * (i + 1);
    const std::string name = fmt::format("run {} <b>", i);
    runs += "'" + write_run(folder, name, random_lines(20, static_cast<unsigned>(i)), config).string() + "' ";
  }
  const std::string page = folder / "page.html";
  const auto drawn = run_program("report", runs + "--out " + page);
  CAPTURE(drawn.output);
  REQUIRE(drawn.code == 0);
  const std::string html = read_bytes(page);
  CHECK(holds(html, "Comparison of 4 runs"));
  CHECK(holds(html, "run 2 &lt;b&gt;"));
  CHECK(!holds(html, "run 2 <b>"));
  CHECK(data_in_page(html).at("charts").at(0).at("lines").size() == 4);
  CHECK(run_program("report", runs + "--data x --out " + page).code == 2);
}

TEST_CASE("report: what it refuses, and that nothing is written then") {
  const TemporaryFolder folder;
  const auto run = write_run(folder, "run", random_lines(3, 1), settings_of_drawn_run(3));
  const std::string page = folder / "page.html";
  std::filesystem::create_directory(folder / "empty");
  const auto check_refused = [&](const std::string& arguments, int code, const std::string& words) {
    CAPTURE(arguments);
    const auto before = folder_contents(folder.path);
    const auto refused = run_program("report", arguments);
    CAPTURE(refused.output);
    CHECK(refused.code == code);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused, words));
    CHECK(folder_contents(folder.path) == before);
  };
  const std::string given = run.string() + " --out ";
  check_refused((folder / "empty").string() + " --out " + page, 4, "metrics.jsonl");
  check_refused((folder / "none").string() + " --out " + page, 4,
                "no such folder; expected the folder of a run");
  check_refused(run.string(), 2, "--out");
  check_refused("--out " + page, 2, "RUN");
  check_refused(given + folder.path.string(), 2, "a folder");
  check_refused(given + (folder / "page.txt").string(), 2, ".html");
  check_refused(given + (run / "metrics.jsonl").string(), 2, "belongs to the run");
  check_refused(given + page + " --limit 0", 2, "--limit");
  check_refused(given + page + " --limit 1000000000", 2, "--limit");
  check_refused(given + (folder / "no/such/page.html").string(), 6, "page.html");
  // The run's own page is the one name in its folder that may be given.
  CHECK(run_program("report", given + (run / "report.html").string() + " --no-images").code == 0);
}

TEST_CASE("report: a page of a thousand epochs is small, and hostile names are escaped") {
  const TemporaryFolder folder;
  nlohmann::json config = settings_of_drawn_run(1000);
  config["</script><img src=x>"] = "</script><b>";
  const auto run = write_run(folder, "run", random_lines(1000, 9, 10), config);
  RunFiles files = read_run_files(run);
  files.name = "</title><script>alert(1)</script>";
  files.notes.emplace_back("<i>a note</i>");
  const std::string page = page_of_run(files, {.drawn = "now", .notes = {"<u>another</u>"}});
  CHECK(page.size() < 1'500'000);
  for (const char* text : {"<script>alert", "<img src=x", "<i>a note", "<u>another", "</title><script>"})
    CHECK(!holds(page, text));
  const nlohmann::json data = data_in_page(page);
  for (const nlohmann::json& chart : data.at("charts"))
    for (const nlohmann::json& line : chart.at("lines")) CHECK(line.at("x").size() <= 600);
}

TEST_CASE("report: a page that would be too large loses the map's pictures, then the map") {
  const TemporaryFolder folder;
  const RunFiles files = read_run_files(write_run(folder, "run", random_lines(3, 1), settings_of_drawn_run(3)));
  Seen seen;
  seen.map = "<section class=\"map\" id=\"map\"></section>";
  seen.map_data = {{"names", {"a"}}, {"pictures", std::string(6'000'000, 'x')}};
  std::string page = page_of_run(files, {.seen = &seen});
  CHECK(page.size() < most_page_bytes);
  CHECK(data_in_page(page).at("map").at("pictures").is_null());
  seen.map_data["names"] = std::string(6'000'000, 'x');
  page = page_of_run(files, {.seen = &seen});
  CHECK(page.size() < most_page_bytes);
  CHECK(!data_in_page(page).contains("map"));
}

TEST_CASE("report: settings, texts and runs without end make no page that is too large") {
  const TemporaryFolder folder;
  nlohmann::json config = settings_of_drawn_run(3);
  for (int i = 0; i < 900; ++i) config["key " + std::to_string(i)] = std::string(2000, '"');
  RunFiles files = read_run_files(write_run(folder, "run", random_lines(3, 1), config));
  std::string page = page_of_run(files, {});
  CHECK(page.size() < 2'500'000);
  CHECK(holds(page, " settings more would make the page too large: config.json has them"));
  // Every part is too large by itself.
  Seen seen;
  const std::string large = "<p>" + std::string(most_page_bytes, 'x') + "</p>";
  seen.views = seen.classes = seen.neighbours = seen.map = seen.doubts = large;
  page = page_of_run(files, {.seen = &seen});
  CHECK(page.size() < most_page_bytes);
  for (const char* part : {"the map", "the gallery of neighbours", "the sheet of views",
                           "the list of doubtful labels", "the accuracy of classes"})
    CHECK(holds(page, std::string("<li>") + part + ": left out"));
  // The most runs, all of them long.
  files.metrics = read_run_files(write_run(folder, "long", random_lines(3000, 7), config)).metrics;
  page = page_of_runs(std::vector<RunFiles>(32, files), {});
  CHECK(page.size() < most_page_bytes);
  const nlohmann::json charts = data_in_page(page).at("charts");
  CHECK(charts.size() > 10);
  for (const nlohmann::json& chart : charts) CHECK(chart.at("lines").size() == 32);
}

// One step an epoch, whose update makes weights of about 1e37: the first epoch ends, the next step is not finite.
const std::string spoiled =
    " --model resnet20 --image-size 32 -b 24 -j 1 --epochs 3 --warmup-epochs 0 --report ";

TEST_CASE("pretrain --report: the page of a run that fails says so") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  for (const std::string how : {"", " --on-nonfinite skip"}) {
    CAPTURE(how);
    const std::string run = folder / ("run" + std::to_string(how.size())), page = run + "/report.html";
    const auto failed = run_program("pretrain", set + " --out " + run + spoiled + "--lr 1e38" + how);
    CAPTURE(failed.output);
    CHECK(failed.code == 7);
    CHECK(is_one_line_error(failed));
    REQUIRE(std::filesystem::exists(page));
    const std::string html = read_bytes(page);
    CHECK(holds(html, "failed: "));
    CHECK(!holds(html, "under way"));
    CHECK(!holds(html, mark_of_last_page));
  }
}

TEST_CASE("pretrain --report: a run that was killed before its last page draws it when it is started again") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", page = run + "/report.html";
  const std::string command = set + " --out " + run + tiny + "--report ";
  REQUIRE(run_program("pretrain", command).code == 0);
  std::string html = read_bytes(page);
  const std::size_t mark = html.find(mark_of_last_page);
  REQUIRE(mark != std::string::npos);
  html.erase(mark, std::string(mark_of_last_page).size());
  write_bytes(page, html);  // as of an epoch
  CHECK(run_program("pretrain", command + "--resume").code == 0);
  CHECK(holds(read_bytes(page), mark_of_last_page));
  CHECK(holds(read_bytes(page), "Views as the network sees them"));
  std::filesystem::remove(page);
  CHECK(run_program("pretrain", command + "--resume").code == 0);
  CHECK(holds(read_bytes(page), mark_of_last_page));
}

TEST_CASE("pretrain: what a run can do without comes after its result") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  std::filesystem::create_directories(run + "/tensorboard/projector_sprite.jpg/inside");
  const auto trained = run_program("pretrain", set + " --out " + run + tiny);
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  const std::size_t result = trained.output.find("next: "),
                    warning = trained.output.find("has no features for the projector");
  REQUIRE(result != std::string::npos);
  if (warning == std::string::npos) {
    MESSAGE("this build writes no events, so it has no projector");
    return;
  }
  CHECK(warning > result);
}

TEST_CASE("pretrain --report: the page is there after every epoch, and goes with the run") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", page = run + "/report.html";
  const std::string command = set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 1 --report ";
  const auto trained = run_program("pretrain", command + "--epochs 3");
  CAPTURE(trained.output);
  REQUIRE(trained.code == 0);
  CHECK(!says(trained, "warning: "));
  const std::string html = read_bytes(page);
  CHECK(holds(html, "finished: 3 of 3 epochs"));
  CHECK(holds(html, "Views as the network sees them"));
  CHECK(data_in_page(html).at("charts").at(0).at("lines").at(0).at("x") == nlohmann::json{1, 2, 3});
  CHECK(json_file(run + "/config.json").at("report") == true);
  // It is no reason to refuse a run that goes on, with or without it.
  CHECK(run_program("pretrain", command + "--epochs 3 --resume").code == 0);
  CHECK(read_bytes(page) == html);
  // A new run takes it away.
  const auto replaced = run_program("pretrain", set + " --out " + run + tiny + "--overwrite");
  CHECK(replaced.code == 0);
  CHECK(!says(replaced, "report.html"));
  CHECK(!std::filesystem::exists(page));
}

TEST_CASE("pretrain --report: a page that cannot be written is a warning, once, and the run ends well") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", page = run + "/report.html";
  // As soon as the first epoch has ended, a folder takes the place of the page.
  const std::string obstacle = fmt::format(
      "(for i in $(seq 6000); do test -s {0}/metrics.jsonl && break; sleep 0.01; done; for i in $(seq 1000); "
      "do "
      "rm -f {1}; mkdir {1} && break; done) >/dev/null 2>&1 &",
      run, page);
  const auto trained = run_program_with(
      obstacle, "pretrain",
      set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 20 --report");
  CAPTURE(trained.output);
  CHECK(trained.code == 0);
  const std::size_t first = trained.output.find("warning: " + page);
  REQUIRE(first != std::string::npos);
  CHECK(trained.output.find("warning: " + page, first + 1) == std::string::npos);
  CHECK(json_lines(run + "/metrics.jsonl").size() == 20);
  // What no run has drawn stays.
  const auto beside = run_program("pretrain", set + " --out " + run + tiny + "--report --overwrite");
  CHECK(beside.code == 0);
  CHECK(says(beside, "warning: " + page + " was not drawn by a run, so it stays"));
  CHECK(std::filesystem::is_directory(page));
}

}  // namespace
}  // namespace kindred
