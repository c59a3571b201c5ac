// Runs that do not fit into memory are refused before they start, and what is advised then fits. The memory is that
// of written pseudo files.
#include "../../../data/png/png_writer.h"
#include "../../programs.h"
#include "../../pseudo_files.h"
#include "../small_options.h"

#include <kindred/apps/training/dry_run/memory_check.h>
#include <kindred/data/sets/dataset.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <string>

namespace kindred {
namespace {

// A set of 64 images, and `pretrain` on it with a given memory.
struct SmallMachine {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder, 4, 16), run = folder / "run";
  std::filesystem::path root = folder / "root";

  ProgramResult pretrain(const std::string& flags) const {
    return run_program_with("KINDRED_PSEUDO_FILES=" + root.string(), "pretrain",
                            set + " --out " + run +
                                " --model resnet20 --image-size 32 -j 1 --epochs 1 --knn-every 0 "
                                "--overwrite " +
                                flags);
  }
};

TEST_CASE("memory check: a run that does not fit is refused, and what is advised fits and is the largest") {
  const SmallMachine machine;
  // A control group of 200 MiB, of which 150 MiB are used and 40 MiB of these are files: 90 MiB are left.
  write_pseudo_file(machine.root, "proc/meminfo", "MemAvailable:   16777216 kB\n");
  write_pseudo_file(machine.root, "proc/self/cgroup", "0::/jobs/one\n");
  write_pseudo_file(machine.root, "sys/fs/cgroup/jobs/memory.max", "209715200\n");
  write_pseudo_file(machine.root, "sys/fs/cgroup/jobs/memory.current", "157286400\n");
  write_pseudo_file(machine.root, "sys/fs/cgroup/jobs/memory.stat", "inactive_file 41943040\n");
  const auto refused = machine.pretrain("-b 64");
  CAPTURE(refused.output);
  CHECK(refused.code == 5);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, " of memory, and 90.0 MiB are available; --batch-size "));
  CHECK(!std::filesystem::exists(machine.run));

  std::smatch sizes;
  REQUIRE(std::regex_search(refused.output, sizes,
                            std::regex("--batch-size ([0-9]+) or --micro-batch ([0-9]+) should fit; if that "
                                       "is not enough: memory\\.max of the control group allows 200\\.0 MiB; "
                                       "raise it\n$")));
  const int batch = std::stoi(sizes[1].str()), micro_batch = std::stoi(sizes[2].str());
  CHECK(batch >= 2);
  CHECK(batch < 64);
  CHECK(machine.pretrain(fmt::format("-b {}", batch)).code == 0);
  CHECK(machine.pretrain(fmt::format("-b {}", batch + 8)).code == 5);
  CHECK(64 % micro_batch == 0);
  CHECK(machine.pretrain(fmt::format("-b 64 --micro-batch {}", micro_batch)).code == 0);
  CHECK(machine.pretrain(fmt::format("-b 64 --micro-batch {}", 2 * micro_batch)).code == 5);
}

TEST_CASE("memory check: where not even the smallest batch fits, and where the memory is not known") {
  const SmallMachine machine;
  write_pseudo_file(machine.root, "proc/meminfo", "MemAvailable:   1024 kB\n");
  for (const char* const device : {"cpu", "reference"}) {
    CAPTURE(device);
    const auto refused = machine.pretrain(std::string("-b 64 --device ") + device);
    CAPTURE(refused.output);
    CHECK(refused.code == 5);
    CHECK(is_one_line_error(refused));
    CHECK(says(refused,
               "and 1.0 MiB are available; not even --workers 0 and a batch of 2 fit with resnet20 at 32 "
               "pixels, with "));
    CHECK(says(
        refused,
        " for threads, buffers and free blocks; more memory is needed\n"));  // no smaller image would be enough
  }
  CHECK(says(machine.pretrain("-b 64 --loss cross_entropy"), "not even --workers 0 and a batch of 1 fit "));
  CHECK(!std::filesystem::exists(machine.run));
  CHECK(machine.pretrain("-b 64 --dry-run").code == 0);  // says what is needed, and starts nothing
  std::filesystem::remove_all(machine.root);
  CHECK(machine.pretrain("-b 8").code == 0);
}

// The predicted peak of the process in MiB.
double predicted_peak(const ProgramResult& result) {
  CAPTURE(result.output);
  std::smatch peak;
  REQUIRE(std::regex_search(result.output, peak,
                            std::regex("predicted peak memory of the process +([0-9.]+) MiB")));
  return std::stod(peak[1].str());
}

TEST_CASE("memory check: a single large picture counts once for each worker, and fewer workers are advised") {
  const SmallMachine machine;
  // By its header this PNG has 5000 x 5000 pixels. Decoding it takes 143 MiB: its rows and its pixels.
  const test::Bytes file = test::png_file({.height = 5000, .width = 5000}, test::Bytes(72'700));
  const std::string folder =
      machine.set + "/train/" + open_dataset(machine.set, Split::train)->class_names().front();
  write_bytes(folder + "/zz.png", std::string(file.begin(), file.end()));
  const double with_one = predicted_peak(machine.pretrain("-b 8 --dry-run -j 1"));
  const double with_three = predicted_peak(machine.pretrain("-b 8 --dry-run -j 3"));
  CHECK(with_three - with_one == doctest::Approx(286.25).epsilon(0.05));
  CHECK(with_one > 143.1 + 71.7);  // decoding it, and keeping its pixels

  write_pseudo_file(machine.root, "proc/meminfo", "MemAvailable:   389120 kB\n");
  const auto refused = machine.pretrain("-b 8 -j 8");
  CAPTURE(refused.output);
  CHECK(refused.code == 5);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, "and 380.0 MiB are available; --workers 2 should fit\n"));
  CHECK(!std::filesystem::exists(machine.run));
  const auto accepted = machine.pretrain("-b 8 -j 2");
  CAPTURE(accepted.output);
  CHECK(accepted.code == 0);
  CHECK(says(accepted, " of decoded pictures are kept, not 71.7 MiB, because memory is short"));

  write_pseudo_file(machine.root, "proc/meminfo", "MemAvailable:   102400 kB\n");
  CHECK(says(machine.pretrain("-b 8 -j 2"),
             "not even --workers 0 and a batch of 2 fit with resnet20 at 32 pixels, with 143.1 MiB for "
             "loading the largest picture, of 5000 x 5000 pixels, and "));
  CHECK(says(machine.pretrain("-b 8 -j 2"),
             " for threads, buffers and free blocks; use smaller copies of the largest pictures\n"));
}

TEST_CASE("memory check: a batch is advised that --per-class and --micro-batch divide") {
  PretrainOptions o = small_options(32, 240);
  o.momentum = 0.9;
  const std::size_t bytes = std::size_t{200} << 20;
  const std::int64_t batch = largest_batch(o, Device::cpu, bytes);
  CHECK(batch % 8 == 0);
  CHECK(batch >= 16);
  o.per_class = 5;
  const std::int64_t of_classes = largest_batch(o, Device::cpu, bytes);
  CHECK(of_classes % 5 == 0);
  CHECK(of_classes > batch / 2);
  CHECK(of_classes < batch * 2);
  o.per_class = 1;
  o.micro_batch = 12;
  const std::int64_t of_micro_batches = largest_batch(o, Device::cpu, bytes);
  CHECK(of_micro_batches % 12 == 0);
  CHECK(of_micro_batches > 2 * batch);  // the activations are those of 12 images
}

}  // namespace
}  // namespace kindred
