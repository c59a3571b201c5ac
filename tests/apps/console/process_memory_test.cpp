// The available memory, from written pseudo files: what each of them allows, and that the least counts.
#include "../pseudo_files.h"

#include <kindred/apps/console/process_memory.h>

#include <doctest/doctest.h>

namespace kindred {
namespace {

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
  write_pseudo_file(root.path, mount + "memory.stat", "inactive_file 30000000\ntotal_inactive_file 10000000\n"
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
  write_pseudo_file(root.path, "proc/self/limits",
                    "Max address space         unlimited            unlimited            bytes\n");
  CHECK(!available_memory(root.path));
}

}  // namespace
}  // namespace kindred
