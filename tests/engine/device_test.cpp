// Which device is chosen, and the message if a GPU cannot be used.
#include <kindred/engine/device_kernels.h>

#include "../errors.h"

#include <doctest/doctest.h>

namespace kindred {
namespace {

GpuFacts good_gpu() {
  GpuFacts facts;
  facts.runtime = 13000;
  facts.driver = 13010;
  facts.count = 1;
  facts.gpu = "NVIDIA H200";
  facts.major = 9;
  facts.has_code = true;
  return facts;
}

bool says(const GpuFacts& facts, const std::string& text) {
  return why_unusable(facts).find(text) != std::string::npos;
}

TEST_CASE("device: every reason against a GPU is said in words") {
  GpuFacts facts = good_gpu();
  CHECK(why_unusable(facts) == "");
  CHECK(says({}, "no NVIDIA driver is installed"));
  facts.driver_too_old = true;
  facts.driver = 12040;
  CHECK(says(facts, "it knows CUDA 12.4, and this build needs 13.0"));
  facts = good_gpu();
  facts.error = "unknown error";
  CHECK(says(facts, "no GPU answers (unknown error)"));
  facts = good_gpu();
  facts.count = 0;
  CHECK(says(facts, "no GPU is there"));
  facts = good_gpu();
  facts.has_code = false;
  facts.major = 7;
  facts.minor = 5;
  CHECK(says(facts, "architecture 7.5"));
  CHECK(says(facts, "-DCMAKE_CUDA_ARCHITECTURES=75"));
  facts = good_gpu();
  facts.missing_library = "cuDNN 9 is missing";
  CHECK(says(facts, "cuDNN 9 is missing"));
}

TEST_CASE("device: auto falls back to the cpu and says why, cuda insists") {
  const DeviceChoice choice = choose_device("auto");
  const bool usable = device_cuda != nullptr && device_cuda->probe().usable;
  const bool emulated = usable && device_cuda->probe().emulated;
  CHECK((choice.device == Device::cuda) == (usable && !emulated));  // an emulation is never the default
  CHECK_FALSE(choice.reason.empty());
  if (usable)
    CHECK(choose_device("cuda").device == Device::cuda);
  else {
    CHECK_THROWS_WITH_AS(choose_device("cuda"), doctest::Contains("device cuda: "), Error);
    CHECK(test::cause_of([] { choose_device("cuda"); }) == Cause::needs_cpu);
  }
  CHECK_THROWS_AS(choose_device("tpu"), Error);
}

}  // namespace
}  // namespace kindred
