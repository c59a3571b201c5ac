#include <kindred/engine/cuda/emulation/draws.h>

#include <cstdlib>

namespace kindred::cuda::emulation {
namespace {

std::uint64_t seed_of_environment() {
  const char* text = std::getenv("KINDRED_EMULATION_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}

std::uint64_t drawn_from = seed_of_environment(), launches = 0;

}  // namespace

std::uint64_t seed() {
  return drawn_from;
}

void set_seed(std::uint64_t seed) {
  drawn_from = seed;
  launches = 0;
}

void start_drawing() {
  random_state = drawn_from;
  random_state = next_random() + launches++;
}

}  // namespace kindred::cuda::emulation
