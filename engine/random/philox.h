// Counter-based random numbers (Philox4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy
// as 1, 2, 3").
//
// A number is a pure function of a key (its purpose) and a counter (its index). Nothing depends on threads or
// on time, so a run draws the same numbers with 1 worker or 16, on CPU or GPU, and after a resume.
#pragma once

#include <kindred/engine/host_device.h>

#include <array>
#include <cstdint>

namespace kindred {

// The purpose of a stream of numbers. The values are part of the file format of a run: never renumber them.
enum class Purpose : std::uint32_t {
  initialize = 1,
  shuffle = 2,
  augment = 3,
  split = 4,
  toy_data = 5,
  test = 6,
  queue = 7
};

struct PhiloxWords {
  std::uint32_t word[4];
};

// Ten rounds of the Philox 4x32 bijection.
KINDRED_HOST_DEVICE inline PhiloxWords philox4x32(PhiloxWords counter, std::uint32_t key0, std::uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter.word[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = PhiloxWords{
        {static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(b),
         static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

// A stream of random numbers, keyed by (seed, purpose, epoch, sample, view). Streams with different keys are
// independent; one stream gives 2^32 blocks of four words. A stream is cheap to create: three words of state.
class RandomStream {
 public:
  KINDRED_HOST_DEVICE RandomStream(std::uint64_t seed, Purpose purpose, std::uint32_t epoch = 0,
                                   std::uint32_t sample = 0, std::uint32_t view = 0)
      // The view shares a word with the purpose: 2^24 views and 2^8 purposes are more than enough.
      : key0_(static_cast<std::uint32_t>(seed)),
        key1_(static_cast<std::uint32_t>(seed >> 32)),
        counter_{{0, epoch, sample, (view << 8) | static_cast<std::uint32_t>(purpose)}} {}

  // 32 uniform random bits.
  KINDRED_HOST_DEVICE std::uint32_t bits() {
    if (used_ == 4) {
      block_ = philox4x32(counter_, key0_, key1_);
      ++counter_.word[0];
      used_ = 0;
    }
    return block_.word[used_++];
  }

  // Uniform in [0, 1). The result is a multiple of 2^-24, so it is exact in float.
  KINDRED_HOST_DEVICE float uniform() { return static_cast<float>(bits() >> 8) * (1.0f / 16777216.0f); }
  KINDRED_HOST_DEVICE float uniform(float low, float high) { return low + (high - low) * uniform(); }

  // Uniform in {0, ..., n-1}; n > 0. Uses multiply-shift, with a bias below n / 2^32.
  KINDRED_HOST_DEVICE std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>((std::uint64_t{bits()} * n) >> 32);
  }

  // Standard normal (Box-Muller, one number of the pair). Defined for the host only, in philox.cpp.
  float normal();

 private:
  std::uint32_t key0_, key1_;
  PhiloxWords counter_;
  PhiloxWords block_{};
  int used_ = 4;
};

}  // namespace kindred
