// What can be tested without NVIDIA's libraries: their versions, and how their algorithms are compared.
#include <kindred/third_party/alignment.h>
#include <kindred/third_party/search/nvidia_versions.h>
#include <kindred/third_party/timing/fastest.h>
#include <kindred/third_party/timing/least_time.h>

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

namespace kindred {
namespace {

TEST_CASE("NVIDIA's libraries: versions in words, and what a driver cannot run") {
  CHECK(nvidia::version_text(91900) == "9.19.0");
  CHECK(nvidia::version_text(130102) == "13.1.2");
  CHECK(nvidia::version_text(22703) == "2.27.3");
  CHECK(nvidia::cudnn_package(12040) == "nvidia-cudnn-cu12");
  CHECK(nvidia::cublas_package(12040) == "nvidia-cublas-cu12");
  CHECK(nvidia::cublas_package(13000) == "nvidia-cublas");
  CHECK(nvidia::nccl_package(13000) == "nvidia-nccl-cu13");
  const std::string cudnn = "cuDNN 9.19.0 in /opt", package = "nvidia-cudnn-cu12";
  CHECK(nvidia::why_too_new(cudnn, 13010, 13000, package) == "");  // a minor version does not matter
  CHECK(nvidia::why_too_new(cudnn, 12090, 13000, package) == "");
  CHECK(nvidia::why_too_new(cudnn, 13010, 0, package) == "");  // no driver: another message covers this
  const std::string said = nvidia::why_too_new(cudnn, 13010, 12040, package);
  CHECK(said.find("cuDNN 9.19.0 in /opt was made for CUDA 13.1") == 0);
  CHECK(said.find("the driver supports only CUDA 12.4") != std::string::npos);
  CHECK(said.find("pip install nvidia-cudnn-cu12") != std::string::npos);
}

TEST_CASE("NVIDIA's libraries: the alignment of addresses") {
  const auto at = [](std::uintptr_t address) { return reinterpret_cast<const void*>(address); };
  CHECK(alignment_of({at(4096), at(256)}) == 16);
  CHECK(alignment_of({at(4096), nullptr}) == 16);
  CHECK(alignment_of({at(4096), at(4104), at(16)}) == 8);
  CHECK(alignment_of({at(4100), at(4104)}) == 4);
  CHECK(alignment_of({at(2), at(4096)}) == 2);
  CHECK(promised_alignment({at(4096), nullptr, at(48)}, 4) == 16);
  CHECK(promised_alignment({at(4096), at(8)}, 4) == 4);  // the second window at 8 bytes may be at 4
  CHECK(promised_alignment({at(2)}, 2) == 2);
}

// A GPU whose runs take `run` milliseconds and a host that takes `host` to start one. Gives the time between
// two events.
struct StandInGpu {
  float run, host;
  std::vector<int> runs = {};
  bool was_idle = false;  // the host was late in one of the measurements that count

  TimedRuns time(int count, float busy) {
    runs.push_back(count);
    const float starting = host * static_cast<float>(count);
    // If the GPU waited for the host, the events show the host's time.
    const bool late = starting > busy;
    if (runs.size() > 1 && late) was_idle = true;
    const float working = run * static_cast<float>(count);
    return {late ? std::max(working, starting - busy + run) : working, starting};
  }
  float least() {
    return least_time([this](int count, float busy) { return time(count, busy); });
  }
};

TEST_CASE("timing on a GPU: the host's part is left out, and short runs are done several times") {
  for (const float run : {0.002f, 0.004f, 0.05f, 0.3f, 40.0f})
    for (const float host : {0.002f, 0.01f, 0.04f, 0.2f}) {
      CAPTURE(run);
      CAPTURE(host);
      StandInGpu gpu{run, host};
      CHECK(gpu.least() == doctest::Approx(run).epsilon(1e-4));
      CHECK_FALSE(gpu.was_idle);
      CHECK(gpu.runs.size() == 4);
      if (host <= 0.01f) CHECK(static_cast<float>(gpu.runs.back()) * run >= (run < 0.005f ? 20 * run : 0.1f));
      if (run > 0.1f) CHECK(gpu.runs.back() == 1);
    }
}

TEST_CASE("timing on a GPU: one measurement that was disturbed does not count") {
  for (int disturbed = 0; disturbed < 4; ++disturbed) {
    int measurement = 0;
    const float time = least_time([&](int runs, float) {
      return TimedRuns{0.5f * static_cast<float>(runs) + (measurement++ == disturbed ? 3.0f : 0.0f), 0.01f};
    });
    CHECK(time == doctest::Approx(0.5f));
  }
}

struct Offered {
  std::map<std::size_t, float> times;  // of the algorithms that run
  std::size_t without_room = 99;       // the workspace of this algorithm does not fit

  std::optional<Fastest> best(std::size_t count, bool full = false) const {
    return fastest_of(
        count,
        [full] {
          if (full) throw OutOfMemory("full");
          return 0;
        },
        [this](int, std::size_t i) -> std::optional<float> {
          if (i == without_room) throw OutOfMemory("full");
          const auto found = times.find(i);
          return found == times.end() ? std::nullopt : std::optional<float>(found->second);
        });
  }
};

TEST_CASE("the fastest way: of those that run; the best guess, untimed, on a GPU that is full") {
  const Offered some{{{1, 3.0f}, {2, 1.0f}, {3, 1.0f}, {4, 2.0f}}};
  CHECK(some.best(5)->index == 2);
  CHECK(some.best(5)->timed);
  CHECK(some.best(2)->index == 1);
  CHECK_FALSE(some.best(1));  // it does not run
  CHECK_FALSE(some.best(0));
  CHECK(some.best(5, true)->index == 0);
  CHECK_FALSE(some.best(5, true)->timed);
  CHECK_FALSE(some.best(0, true));
  // An algorithm without room for its workspace leaves the choice to the others. If it is the only one, it is
  // chosen untimed.
  Offered lacking = some;
  lacking.without_room = 2;
  CHECK(lacking.best(5)->index == 3);
  CHECK(lacking.best(5)->timed);
  const Offered only{{}, 1};
  CHECK(only.best(3)->index == 0);
  CHECK_FALSE(only.best(3)->timed);
}

}  // namespace
}  // namespace kindred
