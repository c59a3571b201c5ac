// Runs under a limit of the address space (`ulimit -v`): what they reserve beyond memory, by hand, and which are refused.
#include "../../programs.h"
#include "../../pseudo_files.h"
#include "../small_options.h"

#include <kindred/apps/training/accuracies.h>
#include <kindred/apps/training/dry_run/address_space.h>
#include <kindred/apps/training/training_data.h>

#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <string>

namespace kindred {
namespace {

constexpr std::size_t mebi = 1048576;

TEST_CASE("address space: the threads of a run") {
  PretrainOptions o = small_options(32, 8);
  o.workers = 4;
  o.knn_every = 0;
  CHECK(threads_of_run(o, 2) == 6);  // one computes, four load, one saves
  o.knn_every = 10;
  CHECK(threads_of_run(o, 2) == 10);  // four more load what is measured
  CHECK(threads_of_run(o, 16) == 24);
  o.workers = 0;
  CHECK(threads_of_run(o, 1) == 1);
  CHECK(stack_of_thread() >= 16384u);
}

TEST_CASE("address space: what is reserved beyond memory") {
  // A slab more: 32 MiB, and 2 MiB to begin on a huge page.
  CHECK(addresses_beyond_memory({}) == 34 * mebi);
  // Seven stacks of 8 MiB.
  CHECK(addresses_beyond_memory({.threads = 7, .stack = 8 * mebi}) == 90 * mebi);
  CHECK(addresses_of_stacks({.threads = 7, .stack = 8 * mebi, .pool_held = 500 * mebi}) == 56 * mebi);
  // Ten slabs of 32 MiB with 2 MiB each, of which 20 MiB are free.
  CHECK(addresses_beyond_memory({.pool_held = 320 * mebi, .pool_in_use = 300 * mebi}) == 74 * mebi);
  CHECK(addresses_beyond_memory(
            {.threads = 7, .stack = 8 * mebi, .pool_held = 320 * mebi, .pool_in_use = 300 * mebi}) ==
        130 * mebi);
  // More threads run than the run has.
  CHECK(addresses_beyond_memory({.threads = -3, .stack = 8 * mebi}) == 34 * mebi);
  CHECK(addresses_beyond_memory({.pool_held = 0, .pool_in_use = 5 * mebi}) == 34 * mebi);
}

TEST_CASE("memory of measuring: no more pixels at a time than a step has, and the features") {
  PretrainOptions o = small_options(32, 8);
  o.knn_every = 1;
  CHECK(images_measured_at_once(o) == 16);
  o.batch_size = 256;
  CHECK(images_measured_at_once(o) == 128);
  o.micro_batch = 4;
  CHECK(images_measured_at_once(o) == 8);
  o.micro_batch = 0;
  o.batch_size = 1;
  o.view_groups = {{recipe("none"), 16, 2}};  // two views of a quarter of the pixels
  CHECK(images_measured_at_once(o) == 1);
  o.batch_size = 100;
  o.view_groups = {{recipe("none"), 32, 1}, {recipe("none"), 16, 4}};
  CHECK(images_measured_at_once(o) == 128);
  o.batch_size = 30;
  CHECK(images_measured_at_once(o) == 60);

  o = small_options(32, 8);
  o.knn_every = 1;
  // 1,000 images of 4 * 64 and 256 floats, and four batches of 16 images of 32 * 32 * 3 bytes.
  CHECK(memory_of_measuring(o, 1000) == 2'244'608u);
  o.model = "resnet50";
  // 10,000 images at most, of 4 * 2,048 and 256 floats.
  CHECK(memory_of_measuring(o, 50000) == 338'116'608u);
  o.knn_every = 0;
  CHECK(memory_of_measuring(o, 1000) == 0u);
}

// `pretrain` on 64 images, where written files say that 180 MiB of the address space are left.
struct NarrowMachine {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder, 4, 16), run = folder / "run";
  std::filesystem::path root = folder / "root";

  NarrowMachine() {
    write_pseudo_file(root, "proc/meminfo", "MemAvailable:   16777216 kB\n");
    write_pseudo_file(root, "proc/self/limits",
                      "Max address space         398458880            unlimited            bytes\n");
    write_pseudo_file(root, "proc/self/status", "VmSize:\t  204800 kB\nThreads:\t1\n");
  }
  ProgramResult pretrain(const std::string& flags) const {
    return run_program_with("ulimit -s 8192; KINDRED_PSEUDO_FILES=" + root.string(), "pretrain",
                            set + " --out " + run +
                                " --model resnet20 --image-size 32 --epochs 1 --knn-every 0 --overwrite " +
                                flags);
  }
};

TEST_CASE("address space: a run that does not fit is refused, and what is advised fits and is the largest") {
  const NarrowMachine machine;
  const auto refused = machine.pretrain("-j 1 -b 64");
  CAPTURE(refused.output);
  CHECK(refused.code == 5);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused, "this run needs "));
  CHECK(says(refused,
             " of memory; the rest is stacks of threads and free blocks), and ulimit -v leaves 180.0 MiB; "));
  CHECK(!std::filesystem::exists(machine.run));
  std::smatch sizes;
  REQUIRE(std::regex_search(refused.output, sizes,
                            std::regex("--batch-size ([0-9]+) or --micro-batch ([0-9]+) should fit; if that "
                                       "is not enough: ulimit -v allows 380\\.0 MiB; raise it\n$")));
  const int batch = std::stoi(sizes[1].str());
  CHECK(batch >= 2);
  CHECK(batch < 64);
  CHECK(machine.pretrain("-j 1 -b " + std::to_string(batch)).code == 0);
  CHECK(machine.pretrain("-j 1 -b " + std::to_string(batch + 8)).code == 5);
  // The stacks of eight more workers take 64 MiB.
  CHECK(machine.pretrain("-j 9 -b " + std::to_string(batch)).code == 5);
  // With no limit of addresses the same run fits.
  write_pseudo_file(machine.root, "proc/self/limits",
                    "Max address space         unlimited            unlimited\n");
  CHECK(machine.pretrain("-j 9 -b " + std::to_string(batch)).code == 0);
}

TEST_CASE("address space: stacks that have no room are an error about threads") {
  const NarrowMachine machine;
  // One thread computes beside the main thread, one saves: 32 stacks.
  const auto refused = machine.pretrain("-j 30 -b 8");
  CAPTURE(refused.output);
  CHECK(refused.code == 5);
  CHECK(is_one_line_error(refused));
  CHECK(says(refused,
             "the stacks of 32 threads need 256.0 MiB of addresses, and ulimit -v leaves 180.0 MiB; use fewer "
             "--workers "
             "or a smaller OMP_NUM_THREADS; if that is not enough: ulimit -v allows 380.0 MiB; raise it\n"));
  CHECK(!std::filesystem::exists(machine.run));
  // Threads that run already have their stacks.
  write_pseudo_file(machine.root, "proc/self/status", "VmSize:\t  204800 kB\nThreads:\t12\n");
  CHECK(says(machine.pretrain("-j 30 -b 8"), "this run needs "));
}

TEST_CASE("address space: where nothing can be smaller, the line names what takes the most, and the limit") {
  const NarrowMachine machine;
  write_pseudo_file(machine.root, "proc/self/status",
                    "VmSize:\t  358400 kB\nThreads:\t1\n");  // 30 MiB are left
  const auto refused = machine.pretrain("-j 0 -b 2 --image-size 8");
  CAPTURE(refused.output);
  CHECK(refused.code == 5);
  CHECK(is_one_line_error(refused));
  CHECK(std::regex_search(
      refused.output,
      std::regex(
          "and ulimit -v leaves 30\\.0 MiB; not even --workers 0 and a batch of 2 fit with resnet20 at 8 "
          "pixels, with [0-9.]+ MiB for .* and [0-9.]+ MiB for threads, buffers and free blocks; ulimit -v "
          "allows "
          "380\\.0 MiB; raise it\n$")));
  // `ulimit -d` is such a limit, too.
  write_pseudo_file(machine.root, "proc/self/limits",
                    "Max data size             398458880            unlimited            bytes\n");
  write_pseudo_file(machine.root, "proc/self/status", "VmData:\t  358400 kB\nThreads:\t1\n");
  const auto of_data = machine.pretrain("-j 0 -b 2 --image-size 8");
  CHECK(says(of_data, "and ulimit -d leaves 30.0 MiB; "));
  CHECK(says(of_data, "; ulimit -d allows 380.0 MiB; raise it\n"));
}

}  // namespace
}  // namespace kindred
