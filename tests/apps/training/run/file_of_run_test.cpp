// Programs that write one file do not write it over the files of a run, or of the result of a probe.
#include "../../programs.h"

#include <kindred/apps/training/run/takeover/set_aside.h>

namespace kindred {
namespace {

namespace fs = std::filesystem;

TEST_CASE("a file that is to be written is refused if its name is one of a run's files, and others are not") {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), base = fs::canonical(folder.path), run = base + "/run",
                    probe = run + "/probe", link = base + "/link.json", encoder = base + "/encoder.safetensors";
  REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
  fs::create_directories(probe);
  for (const char* name : {"/result.json", "/classifier.safetensors"}) write_bytes(probe + name, "of a probe");
  fs::create_symlink(run + "/config.json", link);
  fs::copy_file(run + "/encoder.safetensors", encoder);
  auto before = folder_contents(run);
  const auto refused = [&](const std::string& program, const std::string& arguments, const std::string& error) {
    CAPTURE(arguments);
    const auto result = run_program(program, arguments);
    CAPTURE(result.output);
    CHECK(result.code == 2);
    CHECK(is_one_line_error(result));
    CHECK(says(result, error + "; give another name\n"));
    CHECK(folder_contents(run) == before);
  };
  const std::string of_run = ": a file of this name belongs to the run in " + run,
                    of_probe = ": a file of this name belongs to the result of linear_probe in " + probe,
                    evaluate = set + " --encoder " + run + " --classifier " + probe + " --json ",
                    check_data = set + " --no-pictures --json ";
  // A run without a classifier has no best_classifier.safetensors yet; the name is a run's nevertheless.
  for (const std::string name :
       {"/checkpoint.safetensors", "/best_classifier.safetensors", "/checkpoints/best.txt"})
    refused("export", encoder + " --format torchvision --out " + run + name, "--out " + run + name + of_run);
  refused("evaluate", evaluate + run + "/config.json", "--json " + run + "/config.json" + of_run);
  refused("evaluate", evaluate + link, "--json " + link + of_run);
  refused("evaluate", evaluate + probe + "/result.json", "--json " + probe + "/result.json" + of_probe);
  // A run without a classifier has no result.json either, and beside it the file would be taken for the run's.
  refused("evaluate", evaluate + run + "/result.json", "--json " + run + "/result.json" + of_run);
  refused("check_data", check_data + run + "/result.json", "--json " + run + "/result.json" + of_run);
  refused("check_data", check_data + run + "/metrics.jsonl", "--json " + run + "/metrics.jsonl" + of_run);
  refused("pack_dataset", set + " " + run + "/encoder.safetensors --overwrite",
          "OUT " + run + "/encoder.safetensors" + of_run);
  refused("pretrain",
          set + " --out " + base + "/new --dry-run --gpu h100 --prediction " + run + "/plans.json" + tiny,
          "--prediction " + run + "/plans.json" + of_run);

  const auto in_events =
      run_program("linear_probe", set + " --epochs 1 --encoder " + run + "/encoder.safetensors --out " + run +
                                      "/tensorboard/probe");
  CHECK(in_events.code == 2);
  CHECK(says(in_events, "/tensorboard is for the events of the run in " + run + "; give another folder\n"));
  for (const std::string place : {"/checkpoints", "/checkpoints/", "/checkpoints/probe"}) {
    for (const std::string program : {"linear_probe", "pretrain"}) {
      CAPTURE(place);
      const auto result = run_program(
          program,
          set + " --out " + run + place +
              (program == "pretrain" ? tiny : " --epochs 1 --encoder " + run + "/encoder.safetensors"));
      CAPTURE(result.output);
      CHECK(result.code == 2);
      CHECK(is_one_line_error(result));
      CHECK(says(result, "--out " + run + place + ": " + run +
                             "/checkpoints is for the checkpoints of the run in " + run +
                             "; give another folder\n"));
      CHECK(folder_contents(run) == before);
    }
  }

  CHECK(run_program("check_data", check_data + run + "/check.json").code == 0);
  fs::create_directory(base + "/plain");
  CHECK(run_program("check_data", check_data + base + "/plain/config.json").code == 0);

  // An encoder in the folder would be taken for the save of the run that set this one aside.
  SetAside(run, FolderOf::run).move_away();
  before = folder_contents(run);
  refused("export", encoder + " --format torchvision --out " + run + "/encoder.safetensors",
          "--out " + run + "/encoder.safetensors" + of_run);
}

}  // namespace
}  // namespace kindred
