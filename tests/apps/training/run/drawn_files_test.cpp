// Whether views.jpg and report.html are a run's or the user's: what is in them says so.
#include "../../../engine/temporary_folder.h"

#include <kindred/apps/metrics/picture_file.h>
#include <kindred/apps/pages/page.h>
#include <kindred/apps/training/run/takeover/beside_run.h>
#include <kindred/apps/training/run/takeover/output_folder.h>
#include <kindred/apps/training/run/takeover/own_files.h>
#include <kindred/data/images/jpeg_writer.h>

#include <doctest/doctest.h>
#include <sys/stat.h>  // defines: mkfifo

#include <algorithm>
#include <string>
#include <vector>

namespace kindred {
namespace {

namespace fs = std::filesystem;

std::string drawn_jpeg(const std::string& text) {
  const std::vector<std::uint8_t> bytes = encode_jpeg(Image(9, 12), 90);
  return with_text(std::string(bytes.begin(), bytes.end()), text);
}

std::string drawn_sheet() {
  return drawn_jpeg(std::string(views_sheet_begins) + "its views");
}

std::string drawn_page() {
  return page_text({.title = "a run", .body = "<p>figures</p>"});
}

bool is_among_own(const fs::path& run, const char* name) {
  const std::vector<fs::path> own = own_files(run, FolderOf::run);
  return std::find(own.begin(), own.end(), fs::path(name)) != own.end();
}

TEST_CASE(
    "drawn files: they are a run's if they say so, and what is the user's is never set aside or removed") {
  const TemporaryFolder folder;
  const fs::path sheet = folder / "views.jpg", page = folder / "report.html";
  const auto check_ours = [&](const fs::path& file, bool ours) {
    CAPTURE(file.string());
    CHECK(is_drawn_by_others(file) == !ours);
    CHECK(warning_of_others(file).empty() == ours);
    CHECK(is_among_own(folder.path, file.filename().c_str()) == (ours && fs::exists(fs::symlink_status(file))));
    if (ours) return;
    remove_own(file);
    CHECK(fs::exists(fs::symlink_status(file)));
  };
  for (const fs::path& file : {sheet, page}) {
    check_ours(file, true);  // nothing is there
    write_bytes(file, "");
    check_ours(file, false);
    write_bytes(file, "the user's");
    check_ours(file, false);
    fs::remove(file);
    fs::create_directory(file);
    check_ours(file, false);
    fs::remove(file);
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);  // to open it would wait
    check_ours(file, false);
    fs::remove(file);
    write_bytes(folder / "users", "the user's");
    fs::create_symlink(folder / "users", file);  // a file takes its place
    check_ours(file, true);
    remove_own(file);
    CHECK(read_bytes(folder / "users") == "the user's");
  }
  write_bytes(sheet, drawn_jpeg("Views of our garden"));
  check_ours(sheet, false);
  write_bytes(sheet, drawn_jpeg(" " + std::string(views_sheet_begins)));
  check_ours(sheet, false);
  write_bytes(sheet, drawn_sheet());
  check_ours(sheet, true);
  CHECK_FALSE(is_page_of_ours(sheet));
  const std::string text = drawn_page();
  write_bytes(page, text);
  check_ours(page, true);
  write_bytes(page, std::string(5000, ' ') + text);  // the words stand too far behind
  check_ours(page, false);
  write_bytes(page, "<meta name=\"generator\" content=\"Another\"><p>Kindred</p>");
  check_ours(page, false);
  // Other names are not looked into.
  write_bytes(folder / "notes.txt", "the user's");
  CHECK_FALSE(is_drawn_by_others(folder / "notes.txt"));
  write_bytes(folder / "config.json", "the run's");
  CHECK(is_among_own(folder.path, "config.json"));
}

TEST_CASE("drawn files: a replaced run takes its own along, and brings them back; the user's stay in place") {
  for (const bool ours : {true, false}) {
    CAPTURE(ours);
    const TemporaryFolder folder;
    const fs::path run = folder / "run";
    fs::create_directory(run);
    write_bytes(run / "config.json", "{\"data_fingerprint\": \"0\"}");
    write_bytes(run / "checkpoint.safetensors", "the earlier");
    const std::string sheet = ours ? drawn_sheet() : drawn_jpeg("Views of our garden");
    const std::string page = ours ? drawn_page() : "<p>my own</p>";
    write_bytes(run / "views.jpg", sheet);
    write_bytes(run / "report.html", page);
    const auto check_there = [&](bool there) {
      for (const char* const name : {"views.jpg", "report.html"}) CHECK(fs::exists(run / name) == there);
      if (!there) return;
      CHECK(read_bytes(run / "views.jpg") == sheet);
      CHECK(read_bytes(run / "report.html") == page);
    };
    {
      OutputFolder taken(run, FolderOf::run, ExistingRun::overwrite);
      taken.take_over();
      check_there(!ours);
      const std::vector<std::string> others = names_of_others(run);
      CHECK(others ==
            (ours ? std::vector<std::string>() : std::vector<std::string>{"report.html", "views.jpg"}));
    }
    check_there(true);  // nothing was saved
    {
      OutputFolder taken(run, FolderOf::run, ExistingRun::overwrite);
      taken.take_over();
      write_bytes(run / "checkpoint.safetensors", "new");
      taken.saved();
    }
    check_there(!ours);
  }
}

TEST_CASE("drawn files: a start that is killed while it clears the folder leaves one that the next accepts") {
  // Whatever prefix of the removals was done: config.json, by which the others are known, goes last.
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const std::vector<std::string> names = {"plans.json", "bad_images.tsv", "non_finite.json", "views.jpg"};
  for (const std::string& obstacle : names) {
    CAPTURE(obstacle);
    fs::remove_all(run);
    fs::create_directory(run);
    for (const std::string& name : names) write_bytes(run / name, name == "views.jpg" ? drawn_sheet() : "{}");
    write_bytes(run / "config.json", "{\"data_fingerprint\": \"0\"}");
    {
      OutputFolder taken(run, FolderOf::run, ExistingRun::refuse);
      // The removal of this one fails, which ends the start at the same place as a kill.
      fs::remove(run / obstacle);
      fs::create_directories(run / obstacle / "inside");
      try {
        taken.take_over();
      } catch (const Error&) {
      }
    }
    CHECK(fs::exists(run / "config.json") == (obstacle != "views.jpg"));
    fs::remove_all(run / obstacle);
    OutputFolder next(run, FolderOf::run, ExistingRun::refuse);
    next.take_over();
    for (const std::string& name : names) CHECK_FALSE(fs::exists(run / name));
    CHECK_FALSE(fs::exists(run / "config.json"));
  }
}

}  // namespace
}  // namespace kindred
