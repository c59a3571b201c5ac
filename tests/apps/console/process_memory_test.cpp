// The available memory, from written pseudo files: what each of them allows, and that the least counts.
#include "../pseudo_files.h"

#include <kindred/apps/console/process_memory.h>

#include <doctest/doctest.h>
#include <fmt/core.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kindred {
namespace {

std::optional<std::size_t> left_of_addresses(const std::filesystem::path& root) {
  const auto limit = limit_of_addresses(root);
  return limit ? std::optional(limit->left) : std::nullopt;
}

constexpr const char* two_million_kibibytes =
    "MemTotal:       24000000 kB\nMemFree:         1000000 kB\nMemAvailable:    2000000 kB\n";

TEST_CASE("available memory: of the machine") {
  const TemporaryFolder root;
  CHECK(!available_memory(root.path));
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  CHECK(available_memory(root.path) == 2'048'000'000u);
  write_pseudo_file(root.path, "proc/meminfo", "MemAvailable: much\n");
  write_pseudo_file(root.path, "proc/self/cgroup", "nonsense\n\n:\n");
  CHECK(!available_memory(root.path));
  CHECK(available_memory("/").value_or(0) > 0);
}

TEST_CASE("available memory: of control groups, version 2") {
  const TemporaryFolder root;
  const std::string slice = "sys/fs/cgroup/user.slice/", job = slice + "job.scope/";
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/user.slice/job.scope\n");
  CHECK(available_memory(root.path) == 2'048'000'000u);

  // The group above has the limit.
  write_pseudo_file(root.path, job + "memory.max", "max\n");
  write_pseudo_file(root.path, slice + "memory.max", "1000000000\n");
  write_pseudo_file(root.path, slice + "memory.current", "700000000\n");
  CHECK(available_memory(root.path) == 300'000'000u);
  write_pseudo_file(root.path, slice + "memory.stat",
                    "anon 5\nfile 200000000\ninactive_file 150000000\nactive_file 20000000\n");
  CHECK(available_memory(root.path) == 470'000'000u);

  // Its own group has less.
  write_pseudo_file(root.path, job + "memory.max", "500000000\n");
  write_pseudo_file(root.path, job + "memory.current", "100000000\n");
  CHECK(available_memory(root.path) == 400'000'000u);
  write_pseudo_file(root.path, job + "memory.stat", "inactive_file 200000000\n");
  CHECK(available_memory(root.path) == 470'000'000u);  // 500,000,000, and the group above allows less
  write_pseudo_file(root.path, job + "memory.current", "900000000\n");
  CHECK(available_memory(root.path) == 0u);

  // In a container the path may lead outside, and the mount point is the container's own group.
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/../../other\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/memory.max", "123456789\n");
  CHECK(available_memory(root.path) == 123'456'789u);
}

TEST_CASE("available memory: of nested groups, version 2, where the smallest limit is two groups above") {
  const TemporaryFolder root;
  const std::string slice = "sys/fs/cgroup/kubepods.slice/", pod = slice + "pod.slice/",
                    own = pod + "job.scope/";
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/kubepods.slice/pod.slice/job.scope\n");
  write_pseudo_file(root.path, own + "memory.max", "1500000000\n");
  write_pseudo_file(root.path, own + "memory.current", "200000000\n");
  write_pseudo_file(root.path, pod + "memory.max", "1400000000\n");
  write_pseudo_file(root.path, pod + "memory.current", "200000000\n");
  CHECK(available_memory(root.path) == 1'200'000'000u);
  write_pseudo_file(root.path, slice + "memory.max", "900000000\n");
  write_pseudo_file(root.path, slice + "memory.current", "250000000\n");
  CHECK(available_memory(root.path) == 650'000'000u);

  // Its own folder is not to be seen from here: the groups above still count.
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/kubepods.slice/pod.slice/elsewhere.scope/init\n");
  CHECK(available_memory(root.path) == 650'000'000u);
}

TEST_CASE("available memory: what slows a group down, version 2, counts as its limit if it is the lower one") {
  const TemporaryFolder root;
  const std::string job = "sys/fs/cgroup/job/";
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/job\n");
  write_pseudo_file(root.path, job + "memory.current", "100000000\n");
  write_pseudo_file(root.path, job + "memory.high", "700000000\n");
  CHECK(available_memory(root.path) == 600'000'000u);
  write_pseudo_file(root.path, job + "memory.max", "800000000\n");
  CHECK(available_memory(root.path) == 600'000'000u);
  write_pseudo_file(root.path, job + "memory.max", "500000000\n");
  CHECK(available_memory(root.path) == 400'000'000u);
  write_pseudo_file(root.path, job + "memory.high", "max\n");
  CHECK(available_memory(root.path) == 400'000'000u);
  write_pseudo_file(root.path, job + "memory.max", "max\n");
  CHECK(available_memory(root.path) == 2'048'000'000u);
}

TEST_CASE("available memory: `docker run -m`, seen from inside, in both versions") {
  const TemporaryFolder root;
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  // Version 2 with a namespace of its own: the container's group is the mount point.
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/memory.max", "536870912\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/memory.current", "36870912\n");
  CHECK(available_memory(root.path) == 500'000'000u);
  // Version 1: the path is that of the host, and the mount point is the container's group.
  write_pseudo_file(root.path, "proc/self/cgroup",
                    "11:memory:/docker/4f2a\n1:name=systemd:/docker/4f2a\n0::/\n");
  std::filesystem::remove(root.path / "sys/fs/cgroup/memory.max");
  write_pseudo_file(root.path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/memory/memory.usage_in_bytes", "68435456\n");
  CHECK(available_memory(root.path) == 200'000'000u);
}

TEST_CASE("available memory: a file without a number sets no limit") {
  const TemporaryFolder root;
  const std::string job = "sys/fs/cgroup/job/";
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/job\n");
  for (const char* const garbage : {"", "\n", "maximum\n", "-1\n", "12x\n", "0x200\n", "1e9\n",
                                    "99999999999999999999999\n", "\xff\xfe\n"}) {
    CAPTURE(garbage);
    write_pseudo_file(root.path, job + "memory.max", garbage);
    write_pseudo_file(root.path, job + "memory.high", garbage);
    CHECK(available_memory(root.path) == 2'048'000'000u);
  }
  // What is used is not known: the whole limit counts.
  write_pseudo_file(root.path, job + "memory.max", "300000000\n");
  write_pseudo_file(root.path, job + "memory.current", "nothing\n");
  write_pseudo_file(root.path, job + "memory.stat", "inactive_file\nactive_file x\n\n");
  CHECK(available_memory(root.path) == 300'000'000u);
  // A folder in the place of the file.
  std::filesystem::remove(root.path / (job + "memory.max"));
  std::filesystem::create_directories(root.path / (job + "memory.max"));
  CHECK(available_memory(root.path) == 2'048'000'000u);
  // More kibibytes than there are bytes to count.
  write_pseudo_file(root.path, "proc/meminfo", "MemAvailable: 18446744073709551615 kB\n");
  CHECK(!available_memory(root.path));
}

TEST_CASE("available memory: of control groups, version 1") {
  const TemporaryFolder root;
  const std::string mount = "sys/fs/cgroup/memory/";
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  write_pseudo_file(root.path, mount + "memory.limit_in_bytes", "300000000\n");
  write_pseudo_file(root.path, "proc/self/cgroup", "5:memoryless:/\n4:cpu,cpuacct:/\n");
  CHECK(available_memory(root.path) == 2'048'000'000u);
  write_pseudo_file(root.path, "proc/self/cgroup", "5:freezer:/\n4:cpu,memory:/docker/a:b\n");
  CHECK(available_memory(root.path) == 300'000'000u);
  write_pseudo_file(root.path, mount + "memory.usage_in_bytes", "50000000\n");
  write_pseudo_file(root.path, mount + "memory.stat",
                    "inactive_file 30000000\ntotal_inactive_file 10000000\n"
                    "total_active_file 5000000\n");
  CHECK(available_memory(root.path) == 265'000'000u);
  write_pseudo_file(root.path, mount + "docker/a:b/memory.limit_in_bytes", "77000000\n");
  CHECK(available_memory(root.path) == 77'000'000u);
  // Without a limit the file has a number that no machine has.
  write_pseudo_file(root.path, mount + "docker/a:b/memory.limit_in_bytes", "9223372036854771712\n");
  write_pseudo_file(root.path, mount + "memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(available_memory(root.path) == 2'048'000'000u);
}

TEST_CASE("available memory: of the address space") {
  const TemporaryFolder root;
  write_pseudo_file(root.path, "proc/self/limits",
                    "Limit                     Soft Limit           Hard Limit           Units\n"
                    "Max stack size            8388608              unlimited            bytes\n"
                    "Max address space         3000000000           unlimited            bytes\n");
  write_pseudo_file(root.path, "proc/self/status", "VmPeak:\t 1900000 kB\nVmSize:\t 1000000 kB\n");
  CHECK(available_memory(root.path) == 1'976'000'000u);
  CHECK(left_of_addresses(root.path) == 1'976'000'000u);
  write_pseudo_file(root.path, "proc/meminfo", "MemAvailable:    1000000 kB\n");
  CHECK(available_memory(root.path) == 1'024'000'000u);
  CHECK(left_of_addresses(root.path) == 1'976'000'000u);
  write_pseudo_file(root.path, "proc/self/status", "VmSize:\t 9000000 kB\n");
  CHECK(left_of_addresses(root.path) == 0u);
  std::filesystem::remove(root.path / "proc/meminfo");
  write_pseudo_file(root.path, "proc/self/limits",
                    "Max address space         unlimited            unlimited            bytes\n");
  CHECK(!available_memory(root.path));
  CHECK(!limit_of_addresses(root.path));
}

// "ulimit -v 100 10": its name, what it allows, what it leaves; "none".
std::string in_words(const std::optional<MemoryLimit>& limit) {
  return limit ? fmt::format("{} {} {}", limit->name, limit->bytes, limit->left) : "none";
}

TEST_CASE("memory limits: the one that leaves the least is named, and none if the machine has less") {
  const TemporaryFolder root;
  CHECK(in_words(limit_of_memory(root.path)) == "none");
  write_pseudo_file(root.path, "proc/meminfo", two_million_kibibytes);
  CHECK(in_words(limit_of_memory(root.path)) == "none");
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/job\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/job/memory.max", "1500000000\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/job/memory.current", "500000000\n");
  CHECK(in_words(limit_of_memory(root.path)) == "memory.max of the control group 1500000000 1000000000");
  write_pseudo_file(root.path, "sys/fs/cgroup/job/memory.high", "1400000000\n");
  CHECK(in_words(limit_of_memory(root.path)) == "memory.high of the control group 1400000000 900000000");
  CHECK(in_words(limit_of_addresses(root.path)) == "none");
  write_pseudo_file(root.path, "proc/self/status", "VmSize:\t 200000 kB\nVmData:\t 100000 kB\n");
  write_pseudo_file(root.path, "proc/self/limits",
                    "Max data size             900000000            unlimited            bytes\n"
                    "Max address space         1004800000           unlimited            bytes\n");
  CHECK(in_words(limit_of_addresses(root.path)) == "ulimit -d 900000000 797600000");
  CHECK(in_words(limit_of_memory(root.path)) == "ulimit -d 900000000 797600000");
  CHECK(available_memory(root.path) == 797'600'000u);
  write_pseudo_file(root.path, "proc/self/status", "VmSize:\t 300000 kB\nVmData:\t 100000 kB\n");
  CHECK(in_words(limit_of_memory(root.path)) == "ulimit -v 1004800000 697600000");
  write_pseudo_file(root.path, "proc/meminfo", "MemAvailable: 1000 kB\n");
  CHECK(in_words(limit_of_memory(root.path)) == "none");
  CHECK(in_words(limit_of_addresses(root.path)) == "ulimit -v 1004800000 697600000");
}

TEST_CASE("thread limits: of the user, who may be root, and of control groups") {
  const TemporaryFolder root;
  const auto named = [&](bool is_root) {
    const auto limit = limit_of_threads(root.path, is_root);
    return limit ? fmt::format("{} {}", limit->name, limit->threads) : "none";
  };
  CHECK(named(false) == "none");
  write_pseudo_file(root.path, "proc/self/limits",
                    "Max stack size            67108864             unlimited            bytes\n"
                    "Max processes             12                   500                  processes\n");
  CHECK(named(false) == "ulimit -u 12");
  CHECK(named(true) == "none");
  CHECK(limit_of_stack(root.path) == 67'108'864u);
  write_pseudo_file(root.path, "proc/self/cgroup", "0::/slice/job\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/slice/pids.max", "100\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/slice/job/pids.max", "max\n");
  CHECK(named(true) == "pids.max of the control group 100");
  CHECK(named(false) == "ulimit -u 12");
  write_pseudo_file(root.path, "proc/self/cgroup", "3:pids:/job\n");
  write_pseudo_file(root.path, "sys/fs/cgroup/pids/job/pids.max", "7\n");
  CHECK(named(false) == "pids.max of the control group 7");
}

TEST_CASE("running threads: as the system counts them, and one where it does not say") {
  const TemporaryFolder root;
  CHECK(running_threads(root.path) == 1);
  for (const auto& [text, threads] : std::vector<std::pair<std::string, std::int64_t>>{
           {"Threads:\t7\n", 7}, {"Threads:\t0\n", 1}, {"Threads:\tmany\n", 1}}) {
    CAPTURE(text);
    write_pseudo_file(root.path, "proc/self/status", "VmSize:\t 9000 kB\n" + text);
    CHECK(running_threads(root.path) == threads);
  }
  CHECK(running_threads("/") >= 1);
}

}  // namespace
}  // namespace kindred
