#include <kindred/bench/kernel_times.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/search/dynamic_library.h>

#include <cupti.h>
#include <cxxabi.h>  // defines: __cxa_demangle
#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace kindred {
namespace {

struct Cupti {
  DynamicLibrary library{{"libcupti.so.13", "libcupti.so.12", "libcupti.so"}, SearchEnvironment::of_process()};
  decltype(&cuptiActivityRegisterCallbacks) register_callbacks = nullptr;
  decltype(&cuptiActivityEnable) enable = nullptr;
  decltype(&cuptiActivityFlushAll) flush_all = nullptr;
  decltype(&cuptiActivityGetNextRecord) next_record = nullptr;
  decltype(&cuptiGetResultString) result_string = nullptr;

  Cupti() {
    check(library.is_open(), ExitCode::device, "CUPTI, which records kernels, is missing: {}",
          library.problem());
    library.load(register_callbacks, "cuptiActivityRegisterCallbacks");
    library.load(enable, "cuptiActivityEnable");
    library.load(flush_all, "cuptiActivityFlushAll");
    library.load(next_record, "cuptiActivityGetNextRecord");
    library.load(result_string, "cuptiGetResultString");
  }

  void must(CUptiResult result, const char* call) const {
    if (result == CUPTI_SUCCESS) return;
    const char* text = nullptr;
    result_string(result, &text);
    fail(ExitCode::device, "CUPTI: {}: {}", call, text != nullptr ? text : "unknown error");
  }
};

const Cupti& cupti() {
  static const Cupti opened;
  return opened;
}

struct Tally {
  std::uint64_t nanoseconds = 0, times = 0;
  std::string name, shape;  // shape: grid, block, registers and shared memory, with tabs between
};

// The records from CUPTI's threads. CUPTI calls plain functions, so there is one object for the process.
struct Records {
  std::mutex mutex;
  std::map<std::string, Tally> by_name;                            // name and shape
  std::vector<std::pair<std::uint64_t, std::uint64_t>> intervals;  // from, to, in nanoseconds
};
Records records;

constexpr std::size_t buffer_bytes = std::size_t{8} << 20;

void give_buffer(std::uint8_t** buffer, std::size_t* bytes, std::size_t* most_records) {
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, buffer_bytes));
  *bytes = *buffer != nullptr ? buffer_bytes : 0;
  *most_records = 0;  // CUPTI writes as many as fit
}

std::string readable(const std::string& mangled) {
  int status = 0;
  char* plain = abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, &status);
  std::string name = status == 0 && plain != nullptr ? plain : mangled;
  std::free(plain);
  return name;
}

void count(const std::string& name, const std::string& shape, std::uint64_t start, std::uint64_t end) {
  if (start == 0 || end < start) return;  // CUPTI could not time it
  Tally& tally = records.by_name[name + '\t' + shape];
  tally.nanoseconds += end - start;
  ++tally.times;
  tally.name = name;
  tally.shape = shape;
  records.intervals.emplace_back(start, end);
}

// The oldest forms of the records in CUDA 12 and 13: newer ones add fields at the end.
void count(const CUpti_Activity* record) {
  if (record->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) {
    const auto& k = *reinterpret_cast<const CUpti_ActivityKernel9*>(record);
    count(k.name != nullptr ? k.name : "(no name)",
          fmt::format("{}x{}x{}\t{}x{}x{}\t{}\t{}", k.gridX, k.gridY, k.gridZ, k.blockX, k.blockY, k.blockZ,
                      k.registersPerThread, k.staticSharedMemory + k.dynamicSharedMemory),
          k.start, k.end);
  } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMCPY) {
    const auto& m = *reinterpret_cast<const CUpti_ActivityMemcpy5*>(record);
    const bool up = m.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_HTOD;
    const bool down = m.copyKind == CUPTI_ACTIVITY_MEMCPY_KIND_DTOH;
    count(up     ? "copy to the GPU"
          : down ? "copy from the GPU"
                 : "copy on the GPU",
          "-\t-\t-\t-", m.start, m.end);
  } else if (record->kind == CUPTI_ACTIVITY_KIND_MEMSET) {
    const auto& m = *reinterpret_cast<const CUpti_ActivityMemset4*>(record);
    count("fill", "-\t-\t-\t-", m.start, m.end);
  }
}

void take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t valid) {
  const std::lock_guard lock(records.mutex);
  CUpti_Activity* record = nullptr;
  while (valid > 0 && cupti().next_record(buffer, valid, &record) == CUPTI_SUCCESS) count(record);
  std::free(buffer);
}

// The time during which at least one interval was active: copies overlap kernels.
std::uint64_t union_of(std::vector<std::pair<std::uint64_t, std::uint64_t>> intervals) {
  std::sort(intervals.begin(), intervals.end());
  std::uint64_t covered = 0, to = 0;
  for (const auto& [start, end] : intervals) {
    if (end > std::max(to, start)) covered += end - std::max(to, start);
    to = std::max(to, end);
  }
  return covered;
}

}  // namespace

KernelTimes::KernelTimes() {
  const Cupti& c = cupti();
  c.must(c.register_callbacks(give_buffer, take_buffer), "cuptiActivityRegisterCallbacks");
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET})
    c.must(c.enable(kind), "cuptiActivityEnable");
}

void KernelTimes::begin() {
  cupti().must(cupti().flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
  const std::lock_guard lock(records.mutex);
  records.by_name.clear();
  records.intervals.clear();
}

std::string KernelTimes::table(double steps) {
  cupti().must(cupti().flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED), "cuptiActivityFlushAll");
  const std::lock_guard lock(records.mutex);
  check(!records.intervals.empty(), ExitCode::device, "CUPTI recorded no kernel");
  std::vector<std::pair<std::string, Tally>> kernels(records.by_name.begin(), records.by_name.end());
  std::sort(kernels.begin(), kernels.end(),
            [](const auto& a, const auto& b) { return a.second.nanoseconds > b.second.nanoseconds; });
  std::uint64_t first = ~std::uint64_t{0}, last = 0, sum = 0;
  for (const auto& [start, end] : records.intervals) {
    first = std::min(first, start);
    last = std::max(last, end);
    sum += end - start;
  }
  const double microseconds = 1e-3 / steps;
  const auto span = static_cast<double>(last - first), busy = static_cast<double>(union_of(records.intervals));
  std::string text = fmt::format(
      "# a step: {:.1f} us from the first to the last, busy {:.1f} us ({:.1f} %), {:.1f} us when added up\n"
      "# us a step\tshare\ttimes a step\tus each\tgrid\tblock\tregisters\tshared bytes\tname\n",
      span * microseconds, busy * microseconds, 100 * busy / span, static_cast<double>(sum) * microseconds);
  for (const auto& [key, tally] : kernels) {
    const auto nanoseconds = static_cast<double>(tally.nanoseconds), times = static_cast<double>(tally.times);
    text += fmt::format("{:.2f}\t{:.2f} %\t{:.2f}\t{:.2f}\t{}\t{}\n", nanoseconds * microseconds,
                        100 * nanoseconds / static_cast<double>(sum), times / steps, nanoseconds * 1e-3 / times,
                        tally.shape, readable(tally.name));
  }
  return text;
}

}  // namespace kindred
