#include <kindred/apps/processes/places.h>
#include <kindred/engine/counted.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <fcntl.h>   // defines: open
#include <sched.h>   // defines: sched_getaffinity
#include <unistd.h>  // defines: gethostname

#include <algorithm>
#include <array>
#include <cstdlib>
#include <thread>

namespace kindred {
namespace {

constexpr const char* visible_variable = "CUDA_VISIBLE_DEVICES";

std::vector<bool> usable_core_flags() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (::sched_getaffinity(0, sizeof(cores), &cores) != 0)
    return std::vector<bool>(std::thread::hardware_concurrency(), true);
  std::vector<bool> flags(CPU_SETSIZE);
  for (std::size_t core = 0; core < flags.size(); ++core) flags[core] = CPU_ISSET(core, &cores);
  return flags;
}

// A group of a cluster's job may see the files of GPUs that it must not open.
bool can_be_opened(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file >= 0) ::close(file);
  return file >= 0;
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "this machine";
  return name.data();
}

int usable_cores() {
  const std::vector<bool> flags = usable_core_flags();
  return std::max(1, static_cast<int>(std::count(flags.begin(), flags.end(), true)));
}

std::string usable_cores_in_words() {
  const std::vector<bool> flags = usable_core_flags();
  std::string words;
  for (std::size_t core = 0; core < flags.size(); ++core) {
    if (!flags[core]) continue;
    const std::size_t first = core;
    while (core + 1 < flags.size() && flags[core + 1]) ++core;
    if (!words.empty()) words += ',';
    words += first == core ? fmt::format("{}", first) : fmt::format("{}-{}", first, core);
  }
  return words;
}

std::optional<std::vector<std::string>> visible_gpus() {
  std::vector<std::string> gpus;
  if (const char* const set = std::getenv(visible_variable)) {
    std::string name;
    for (const char c : std::string(set) + ",") {
      if (c != ',') {
        if (c != ' ') name += c;
        continue;
      }
      if (!name.empty()) gpus.push_back(name);
      name.clear();
    }
    return gpus;
  }
  constexpr int most = 64;
  for (int i = 0; i < most; ++i)
    if (can_be_opened(fmt::format("/dev/nvidia{}", i))) gpus.push_back(std::to_string(gpus.size()));
  if (gpus.empty()) return std::nullopt;
  return gpus;
}

std::string gpu_of_place(const std::vector<std::string>& visible, int place, int places,
                         const std::string& host) {
  if (visible.size() == 1) return visible.front();
  check(visible.size() >= static_cast<std::size_t>(places), ExitCode::device,
        "{} on {}, and it has {} for them; start as many processes as there are GPUs, or use --device cpu",
        counted(places, "process"), host, counted(static_cast<std::int64_t>(visible.size()), "GPU"));
  return visible[static_cast<std::size_t>(place)];
}

void take_gpu_of_place(int place, int places) {
  const auto visible = visible_gpus();
  if (!visible || visible->empty()) return;  // choose_device() says what that means
  ::setenv(visible_variable, gpu_of_place(*visible, place, places, host_name()).c_str(), 1);
}

std::string identity_of_gpu() {
  const DynamicLibrary driver({"libcuda.so.1"});
  if (!driver.is_open()) return "";
  constexpr std::size_t bytes = 16;
  std::array<unsigned char, bytes> uuid{};
  try {
    int (*get)(unsigned char* uuid, int device) = nullptr;
    driver.load(get, "cuDeviceGetUuid");
    if (get(uuid.data(), 0) != 0) return "";
  } catch (const Error&) {  // a driver without the function
    return "";
  }
  std::string text;
  for (const unsigned char byte : uuid) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace kindred
