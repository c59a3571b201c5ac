#include <kindred/apps/console/process_memory.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

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

std::optional<std::size_t> least_of(const std::optional<std::size_t>& a, const std::optional<std::size_t>& b) {
  return a && (!b || *a <= *b) ? a : b;
}

// The pseudo files of a control group. Version 1 has one limit that the kernel enforces.
struct GroupFiles {
  const char* mount;
  std::array<const char*, 2> limits;
  const char *used, *inactive_files, *active_files;
};
constexpr GroupFiles version_1{"sys/fs/cgroup/memory",
                               {"memory.limit_in_bytes", nullptr},
                               "memory.usage_in_bytes",
                               "total_inactive_file ",
                               "total_active_file "};
constexpr GroupFiles version_2{
    "sys/fs/cgroup", {"memory.max", "memory.high"}, "memory.current", "inactive_file ", "active_file "};

// What the limit of one group leaves; nullopt if it has none.
std::optional<std::size_t> left_by_group(const fs::path& folder, const GroupFiles& files) {
  std::optional<std::size_t> limit;
  for (const char* const name : files.limits)
    if (name != nullptr) limit = least_of(limit, number_behind(folder / name, ""));
  if (!limit) return std::nullopt;
  const std::size_t used = number_behind(folder / files.used, "").value_or(0);
  // Pages of files are given up when memory is needed, whether they were read once or often.
  const std::size_t of_files = number_behind(folder / "memory.stat", files.inactive_files).value_or(0) +
                               number_behind(folder / "memory.stat", files.active_files).value_or(0);
  return rest_of(*limit, rest_of(used, of_files));
}

// The group's path below the mount point. Within a container it may name a folder that is outside ("/../job"); the
// container's own group is then at the mount point.
fs::path below_mount(const std::string& group) {
  const fs::path path = fs::path(group).relative_path();
  return std::find(path.begin(), path.end(), fs::path("..")) == path.end() ? path : fs::path();
}

class LeastBytes {
 public:
  void consider(const std::optional<std::size_t>& bytes) { least_ = least_of(least_, bytes); }
  // The group and all groups above it.
  void consider_groups(const fs::path& root, const GroupFiles& files, const std::string& group) {
    fs::path below = below_mount(group);
    consider(left_by_group(root / files.mount / below, files));
    while (!below.empty()) {
      below = below.parent_path();
      consider(left_by_group(root / files.mount / below, files));
    }
  }
  const std::optional<std::size_t>& value() const { return least_; }

 private:
  std::optional<std::size_t> least_;
};

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

std::optional<std::size_t> available_addresses(const fs::path& root) {
  const std::optional<std::size_t> limit = number_behind(root / "proc/self/limits", "Max address space");
  if (!limit) return std::nullopt;
  return rest_of(*limit, kibibytes_behind(root / "proc/self/status", "VmSize:").value_or(0));
}

std::int64_t running_threads(const fs::path& root) {
  const std::size_t threads = number_behind(root / "proc/self/status", "Threads:").value_or(1);
  constexpr std::size_t most = 1 << 22;  // of all processes of a Linux system
  return static_cast<std::int64_t>(std::clamp<std::size_t>(threads, 1, most));
}

std::optional<std::size_t> available_memory(const fs::path& root) {
  LeastBytes least;
  least.consider(kibibytes_behind(root / "proc/meminfo", "MemAvailable:"));
  least.consider(available_addresses(root));

  // "4:cpu,memory:/job" in version 1, "0::/job" in version 2.
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") least.consider_groups(root, version_2, group);
    if (controllers.find(",memory,") != std::string::npos) least.consider_groups(root, version_1, group);
  }
  return least.value();
}

std::optional<std::size_t> available_memory() {
  return available_memory(root_of_system());
}
std::optional<std::size_t> available_addresses() {
  return available_addresses(root_of_system());
}
std::int64_t running_threads() {
  return running_threads(root_of_system());
}

}  // namespace kindred
