#include <kindred/apps/console/process_memory.h>

#include <unistd.h>  // defines: geteuid

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace kindred {
namespace {

namespace fs = std::filesystem;

constexpr const char* blanks = " \t";

// The first word of the text, if it is a number; nullopt if it is none ("max", "unlimited", "12x").
std::optional<std::size_t> leading_number(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  text = text.substr(0, text.find_first_of(blanks));
  const char* const end = text.data() + text.size();
  std::size_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

// The number behind `key` in the line that begins with it; nullopt if there is no such file, line or number.
std::optional<std::size_t> number_behind(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key)) return leading_number(std::string_view(line).substr(key.size()));
  return std::nullopt;
}

std::optional<std::size_t> kibibytes_behind(const fs::path& path, const std::string& key) {
  const std::optional<std::size_t> number = number_behind(path, key);
  const bool fits = number && *number <= std::numeric_limits<std::size_t>::max() >> 10;
  return fits ? std::optional(*number << 10) : std::nullopt;
}

std::size_t rest_of(std::size_t limit, std::size_t used) {
  return limit - std::min(limit, used);
}

// Replaces `least` by a limit of which `size` is less.
template <typename Limit>
void keep_less(std::optional<Limit>& least, std::size_t Limit::*size, const std::optional<Limit>& other) {
  if (other && (!least || (*other).*size < (*least).*size)) least = other;
}

// The pseudo files of a control group's memory, and how its limits are named. Version 1 has one limit that the kernel enforces.
struct GroupFiles {
  const char* mount;
  std::array<std::pair<const char*, const char*>, 2> limits;
  const char *used, *inactive_files, *active_files;
};
constexpr GroupFiles version_1{"sys/fs/cgroup/memory",
                               {{{"memory.limit_in_bytes", "memory.limit_in_bytes of the control group"}, {}}},
                               "memory.usage_in_bytes",
                               "total_inactive_file ",
                               "total_active_file "};
constexpr GroupFiles version_2{
    "sys/fs/cgroup",
    {{{"memory.max", "memory.max of the control group"}, {"memory.high", "memory.high of the control group"}}},
    "memory.current",
    "inactive_file ",
    "active_file "};

// The lower limit of one group, and what it leaves; nullopt if it has none.
std::optional<MemoryLimit> limit_of_group(const fs::path& folder, const GroupFiles& files) {
  std::optional<MemoryLimit> limit;
  for (const auto& [file, name] : files.limits) {
    const auto bytes = file == nullptr ? std::nullopt : number_behind(folder / file, "");
    if (bytes) keep_less(limit, &MemoryLimit::bytes, std::optional(MemoryLimit{name, *bytes, 0}));
  }
  if (!limit) return std::nullopt;
  const std::size_t used = number_behind(folder / files.used, "").value_or(0);
  // Pages of files are given up when memory is needed, whether they were read once or often.
  const std::size_t of_files = number_behind(folder / "memory.stat", files.inactive_files).value_or(0) +
                               number_behind(folder / "memory.stat", files.active_files).value_or(0);
  limit->left = rest_of(limit->bytes, rest_of(used, of_files));
  return limit;
}

// The group's path below the mount point. Within a container it may name a folder that is outside ("/../job"); the
// container's own group is then at the mount point.
fs::path below_mount(const std::string& group) {
  const fs::path path = fs::path(group).relative_path();
  return std::find(path.begin(), path.end(), fs::path("..")) == path.end() ? path : fs::path();
}

// Calls visit(folder) for the group and all groups above it.
template <typename Visit>
void visit_groups(const fs::path& mount, const std::string& group, const Visit& visit) {
  fs::path below = below_mount(group);
  visit(mount / below);
  while (!below.empty()) {
    below = below.parent_path();
    visit(mount / below);
  }
}

// Calls visit(controllers, group) for each line of proc/self/cgroup: (",cpu,memory,", "/job") for "4:cpu,memory:/job" in
// version 1, (",,", "/job") for "0::/job" in version 2.
template <typename Visit>
void visit_group_lines(const fs::path& root, const Visit& visit) {
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    visit("," + line.substr(first + 1, second - first - 1) + ",", line.substr(second + 1));
  }
}

// The one of several limits that leaves the least.
class TightestLimit {
 public:
  void consider(const std::optional<MemoryLimit>& limit) { keep_less(tightest_, &MemoryLimit::left, limit); }
  void consider_groups(const fs::path& root, const GroupFiles& files, const std::string& group) {
    visit_groups(root / files.mount, group,
                 [&](const fs::path& folder) { consider(limit_of_group(folder, files)); });
  }
  const std::optional<MemoryLimit>& value() const { return tightest_; }

 private:
  std::optional<MemoryLimit> tightest_;
};

// `used` is the line of proc/self/status that says how much of it is used.
std::optional<MemoryLimit> limit_of_process(const fs::path& root, const char* name, const char* line,
                                            const char* used) {
  const std::optional<std::size_t> bytes = number_behind(root / "proc/self/limits", line);
  if (!bytes) return std::nullopt;
  return MemoryLimit{name, *bytes,
                     rest_of(*bytes, kibibytes_behind(root / "proc/self/status", used).value_or(0))};
}

// What ends first: a limit, or the machine's memory, which has no name.
std::optional<MemoryLimit> tightest_of_all(const fs::path& root) {
  TightestLimit tightest;
  if (const auto bytes = kibibytes_behind(root / "proc/meminfo", "MemAvailable:"))
    tightest.consider(MemoryLimit{"", *bytes, *bytes});
  tightest.consider(limit_of_addresses(root));
  visit_group_lines(root, [&](const std::string& controllers, const std::string& group) {
    if (controllers == ",,") tightest.consider_groups(root, version_2, group);
    if (controllers.find(",memory,") != std::string::npos) tightest.consider_groups(root, version_1, group);
  });
  return tightest.value();
}

fs::path root_of_system() {
  const char* const other = std::getenv("KINDRED_PSEUDO_FILES");
  return other == nullptr ? "/" : other;
}

}  // namespace

std::size_t resident_bytes() {
  return kibibytes_behind("/proc/self/status", "VmRSS:").value_or(0);
}
std::size_t peak_resident_bytes() {
  return kibibytes_behind("/proc/self/status", "VmHWM:").value_or(0);
}

std::optional<MemoryLimit> limit_of_addresses(const fs::path& root) {
  TightestLimit tightest;
  tightest.consider(limit_of_process(root, "ulimit -v", "Max address space", "VmSize:"));
  tightest.consider(limit_of_process(root, "ulimit -d", "Max data size", "VmData:"));
  return tightest.value();
}

std::optional<ThreadLimit> limit_of_threads(const fs::path& root, bool is_root) {
  std::optional<ThreadLimit> least;
  const auto consider = [&](const char* name, const std::optional<std::size_t>& threads) {
    if (threads) keep_less(least, &ThreadLimit::threads, std::optional(ThreadLimit{name, *threads}));
  };
  if (!is_root) consider("ulimit -u", number_behind(root / "proc/self/limits", "Max processes"));
  visit_group_lines(root, [&](const std::string& controllers, const std::string& group) {
    const bool is_version_1 = controllers.find(",pids,") != std::string::npos;
    if (controllers != ",," && !is_version_1) return;
    visit_groups(root / (is_version_1 ? "sys/fs/cgroup/pids" : "sys/fs/cgroup"), group,
                 [&](const fs::path& folder) {
                   consider("pids.max of the control group", number_behind(folder / "pids.max", ""));
                 });
  });
  return least;
}

std::optional<std::size_t> limit_of_stack(const fs::path& root) {
  return number_behind(root / "proc/self/limits", "Max stack size");
}

std::int64_t running_threads(const fs::path& root) {
  const std::size_t threads = number_behind(root / "proc/self/status", "Threads:").value_or(1);
  constexpr std::size_t most = 1 << 22;  // of all processes of a Linux system
  return static_cast<std::int64_t>(std::clamp<std::size_t>(threads, 1, most));
}

std::optional<std::size_t> available_memory(const fs::path& root) {
  const auto tightest = tightest_of_all(root);
  return tightest ? std::optional(tightest->left) : std::nullopt;
}

std::optional<MemoryLimit> limit_of_memory(const fs::path& root) {
  const auto tightest = tightest_of_all(root);
  const bool is_machine = tightest && *tightest->name == '\0';
  return is_machine ? std::nullopt : tightest;
}

std::optional<std::size_t> available_memory() {
  return available_memory(root_of_system());
}
std::optional<MemoryLimit> limit_of_memory() {
  return limit_of_memory(root_of_system());
}
std::optional<MemoryLimit> limit_of_addresses() {
  return limit_of_addresses(root_of_system());
}
std::optional<ThreadLimit> limit_of_threads() {
  return limit_of_threads(root_of_system(), ::geteuid() == 0);
}
std::optional<std::size_t> limit_of_stack() {
  return limit_of_stack(root_of_system());
}
std::int64_t running_threads() {
  return running_threads(root_of_system());
}

}  // namespace kindred
