// Programs under limits of memory and threads: one line, code 5, and nothing written by a run that never began.
#include "../data/png/png_writer.h"
#include "../memory_limit.h"
#include "programs.h"
#include "pseudo_files.h"

#include <doctest/doctest.h>

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <string>

namespace kindred {
namespace {

constexpr const char* memory_limit =
    "ulimit -v 1000000; ";  // kibibytes: the program, and a few hundred megabytes
const std::string limit_named = "; if that is not enough: ulimit -v allows 976.6 MiB; raise it\n";
// Every thread would get a stack that is larger than all memory.
constexpr const char* no_threads = "ulimit -s 8000000; ulimit -v 4000000; ";

void check_ends_with_line(const ProgramResult& result, const std::string& what, const std::string& advice) {
  CAPTURE(result.output);
  CHECK(result.code == 5);
  CHECK(is_one_line_error(result));
  CHECK(says(result, what));
  CHECK(says(result, advice));
}

TEST_CASE("memory limits: a probe without memory for its tensors, or for its pictures" *
          doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string command =
      draw_tiny_set(folder) + " --untrained resnet20 -j 1 --out " + (folder / "probe").string();
  const std::string advice = "; use a smaller --batch-size, --image-size or fewer --workers" + limit_named;
  // The f32 images of a batch have 300 MB, and the results of the first layer 400.
  check_ends_with_line(run_program_with(memory_limit, "linear_probe", command + " --image-size 1024"),
                       "out of memory", advice);
  // The bytes of its pictures alone have 1.2 GB: std::bad_alloc.
  check_ends_with_line(run_program_with(memory_limit, "linear_probe", command + " --image-size 4096"),
                       "out of memory on the host; ", advice);
}

TEST_CASE("memory limits: no flag is advised whose value is the smallest" *
          doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  // The results of the first layer of one image have 1.07 GB.
  const std::string command = draw_tiny_set(folder) + " --image-size 4096 --stem cifar -b 1 --out " +
                              (folder / "probe").string() + " --untrained ";
  check_ends_with_line(run_program_with(memory_limit, "linear_probe", command + "resnet20 --num_workers 0"),
                       "out of memory", "; use a smaller --image-size" + limit_named);
  check_ends_with_line(run_program_with(memory_limit, "linear_probe", command + "resnet50 -j0"),
                       "out of memory",
                       "; use a smaller --image-size or a smaller model (--untrained resnet20)" + limit_named);
}

TEST_CASE(
    "memory limits: pretrain sees ulimit -v before it starts, and says what fits if it meets another limit" *
    doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  const std::string command =
      draw_tiny_set(folder) + " --out " + run + " --model resnet18 --image-size 224 -b 24 -j 1 --epochs 1";
  const auto refused = run_program_with(memory_limit, "pretrain", command);
  check_ends_with_line(refused, "this run needs ", "--batch-size ");
  CHECK(says(refused, limit_named));
  CHECK(!std::filesystem::exists(run));

  const std::filesystem::path root = folder / "root";  // pseudo files that know nothing of the limit
  write_pseudo_file(root, "proc/meminfo", "MemAvailable:   99999999 kB\n");
  check_ends_with_line(
      run_program_with(memory_limit + ("KINDRED_PSEUDO_FILES=" + root.string()), "pretrain", command),
      "out of memory", "--batch-size ");
}

// A black PNG of nearly as many pixels as are accepted: half a megabyte, and a gigabyte while it is decoded.
void write_huge_png(const std::filesystem::path& path) {
  constexpr int side = 13370;
  z_stream state{};
  REQUIRE(deflateInit(&state, 6) == Z_OK);
  test::Bytes zeros(std::size_t{1} << 20), packed, piece(std::size_t{1} << 16);
  const std::size_t all = std::size_t{side} * (1 + 3 * side);
  for (std::size_t done = 0; done < all;) {
    const std::size_t some = std::min(zeros.size(), all - done);
    done += some;
    state.next_in = zeros.data();
    state.avail_in = static_cast<uInt>(some);
    do {
      state.next_out = piece.data();
      state.avail_out = static_cast<uInt>(piece.size());
      deflate(&state, done == all ? Z_FINISH : Z_NO_FLUSH);
      packed.insert(packed.end(), piece.begin(), piece.end() - static_cast<std::ptrdiff_t>(state.avail_out));
    } while (state.avail_out == 0);
  }
  deflateEnd(&state);
  const test::Bytes file = test::png_file({.height = side, .width = side}, packed);
  write_bytes(path, std::string(file.begin(), file.end()));
}

TEST_CASE("memory limits: a picture that is too large to decode is named, with advice that can help" *
          doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run", huge = folder / "huge.png";
  REQUIRE(run_program("pretrain", set + " --loss cross_entropy --out " + run + tiny).code == 0);
  write_huge_png(huge);
  const std::string advice =
      "; use smaller copies of the largest pictures, or, where several are decoded at once, fewer threads "
      "(OMP_NUM_THREADS)" +
      limit_named;
  const std::string what = "out of memory on the host while a picture was decoded: ";
  check_ends_with_line(run_program_with(memory_limit, "classify",
                                        huge + " --device cpu --encoder " + run + " --classifier " + run),
                       what + huge, advice);
  std::string in_set;
  for (const auto& entry : std::filesystem::directory_iterator(set + "/train"))
    in_set = (entry.path() / "huge.png").string();
  std::filesystem::rename(huge, in_set);
  check_ends_with_line(run_program_with(memory_limit, "check_data", set + " --no-pictures"), what + in_set,
                       advice);
  check_ends_with_line(run_program_with(memory_limit, "pack_dataset",
                                        set + " " + (folder / "set.kpack").string() + " --max-side 64"),
                       what + in_set, advice);
}

// The most addresses, in kibibytes, that a run with eight workers has had in five epochs. `limit` is a shell command.
long peak_of_addresses(const std::string& set, const std::string& run, const std::string& limit) {
  const std::string id = run + ".id", peak = run + ".peak";
  const std::string watcher = fmt::format(
      "(for i in $(seq 3000); do [ -f {0}/metrics.jsonl ] && [ $(wc -l < {0}/metrics.jsonl) -ge 5 ] && break; "
      "sleep 0.02; done; grep VmPeak /proc/$(cat {1})/status > {2}; kill -TERM $(cat {1})) & ",
      run, id, peak);
  const auto result = run_program_with(
      limit + watcher + "sh -c 'echo $$ > " + id + "; exec env \"$@\"' sh", "pretrain",
      set + " --out " + run + " --model resnet20 --image-size 32 -b 8 -j 8 --epochs 100000 --knn-every 0");
  CAPTURE(result.output);
  REQUIRE(result.code == 8);
  const std::string line = read_bytes(peak);
  REQUIRE(line.starts_with("VmPeak:"));
  return std::stol(line.substr(line.find(':') + 1));
}

TEST_CASE("memory limits: under `ulimit -v` workers reserve no arenas of 64 MiB each" *
          doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const long limited = peak_of_addresses(set, folder / "limited", "ulimit -v 8000000; ");
  const long unlimited = peak_of_addresses(set, folder / "unlimited", "");
  CAPTURE(limited);
  CAPTURE(unlimited);
  CHECK(limited + 100'000 < unlimited);
}

TEST_CASE("memory limits: too few threads" * doctest::skip(memory_cannot_be_limited)) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string advice =
      "; use fewer --workers, a smaller OMP_NUM_THREADS or a smaller ulimit -s; if that is not enough: ulimit "
      "-v "
      "allows 3.81 GiB";
  check_ends_with_line(
      run_program_with(no_threads, "pretrain", set + " --out " + (folder / "run").string() + tiny),
      "2 compute threads are wanted, and only 1 can be started: ", advice);
  CHECK(!std::filesystem::exists(folder / "run"));
  check_ends_with_line(
      run_program_with(no_threads, "linear_probe",
                       set + " --untrained resnet20 --image-size 32 -j 1 --out " + (folder / "probe").string()),
      "threads ", advice);
}

}  // namespace
}  // namespace kindred
