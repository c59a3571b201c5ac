#include <kindred/engine/cuda/emulation/emulation.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/error.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <mutex>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

namespace kindred::cuda::emulation {
namespace {

std::mutex one_grid;

// The launch of the running grid.
Launch current{};
dim3 current_block;

std::mutex limits_mutex;
std::map<const void*, std::size_t> raised_limits;  // kernel -> bytes of dynamic shared memory

// Adds a launch, once, to the list in the file that KINDRED_EMULATION_LAUNCHES names: the address of the kernel
// in the program file, threads, and bytes of dynamic shared memory (scripts/check_launches.py).
void list_launch(const Launch& launch) {
  static const char* const path = std::getenv("KINDRED_EMULATION_LAUNCHES");
  static std::set<std::tuple<const void*, int, std::size_t>> listed;
  if (path == nullptr || !listed.emplace(launch.kernel, launch.block, launch.dynamic_shared_bytes).second)
    return;
  std::FILE* file = std::fopen(path, "a");
  check(file != nullptr, ExitCode::io, "KINDRED_EMULATION_LAUNCHES={} cannot be written", path);
  fmt::print(file, "{:#x} {} {} {}\n", reinterpret_cast<std::uintptr_t>(launch.kernel) - program_image().base,
             launch.block, launch.dynamic_shared_bytes,
             std::filesystem::read_symlink("/proc/self/exe").string());
  std::fclose(file);
}

dim3 block_at(std::size_t number) {
  const std::size_t across = current.grid.x, area = across * current.grid.y;
  return dim3(static_cast<unsigned>(number % across), static_cast<unsigned>(number / across % current.grid.y),
              static_cast<unsigned>(number / area));
}

}  // namespace

std::string block_text(std::size_t block) {
  const dim3 at = block_at(block);
  return fmt::format("block ({}, {}, {})", at.x, at.y, at.z);
}

void check_launch(const Launch& launch) {
  const auto refuse = [&](const std::string& why) {
    fail(ExitCode::internal,
         "emulated GPU: kernel {} cannot be started with {} threads in each of {} x {} x {} blocks: {}",
         kernel_name(launch.kernel), launch.block, launch.grid.x, launch.grid.y, launch.grid.z, why);
  };
  if (launch.block < 1 || launch.block > most_block_threads)
    refuse(fmt::format("a block has 1 to {} threads", most_block_threads));
  constexpr unsigned most_x = 0x7fffffff, most_y = 65535;
  const dim3& grid = launch.grid;
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.x > most_x || grid.y > most_y || grid.z > most_y)
    refuse(fmt::format("a grid has 1 to {} x {} x {} blocks", most_x, most_y, most_y));
  const std::lock_guard lock(limits_mutex);
  const auto raised = raised_limits.find(launch.kernel);
  const std::size_t limit = raised == raised_limits.end() ? most_static_shared : raised->second;
  if (launch.dynamic_shared_bytes > limit)
    refuse(
        fmt::format("it asks for {} bytes of dynamic shared memory, and its limit is {} (raise_shared_limit)",
                    launch.dynamic_shared_bytes, limit));
  list_launch(launch);
}

void raise_shared_limit(const void* kernel, std::size_t bytes) {
  check(bytes <= most_dynamic_shared, ExitCode::internal,
        "emulated GPU: kernel {} cannot have {} bytes of dynamic shared memory: no GPU gives a block more than "
        "{}",
        kernel_name(kernel), bytes, most_dynamic_shared);
  const std::lock_guard lock(limits_mutex);
  std::size_t& limit = raised_limits[kernel];
  limit = std::max(limit, bytes);
}

void run(const Launch& launch, void (*body)(const void*), const void* closure) {
  const std::lock_guard lock(one_grid);
  start_drawing();
  current = launch;
  const auto threads = static_cast<std::size_t>(launch.block);
  std::vector<std::size_t> order(std::size_t{launch.grid.x} * launch.grid.y * launch.grid.z);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[draw(i)]);
  start_launch(launch.dynamic_shared_bytes);
  std::string error;
  for (const std::size_t block : order) {
    current_block = block_at(block);
    start_block(block);
    const bool done = run_block(threads, body, closure, error);
    end_block();
    if (done) continue;
    fail(ExitCode::internal, "emulated GPU: kernel {}, {}: {} (KINDRED_EMULATION_SEED={} repeats it)",
         kernel_name(launch.kernel), block_text(block), error, seed());
  }
}

dim3 thread_index() {
  return dim3(Record::thread(view.now));
}
dim3 block_index() {
  return current_block;
}
dim3 block_size() {
  return dim3(static_cast<unsigned>(current.block));
}
dim3 grid_size() {
  return current.grid;
}

void read_atomically(const void* address, void* value, std::size_t bytes) {
  maybe_give_way();
  note_access(reinterpret_cast<std::uintptr_t>(address), bytes, Access::atomic, __builtin_return_address(0));
  std::memcpy(value, address, bytes);
}

void write_atomically(void* address, const void* value, std::size_t bytes) {
  std::memcpy(address, value, bytes);
}

}  // namespace kindred::cuda::emulation
