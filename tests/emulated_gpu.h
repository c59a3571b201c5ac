// Test cases that need an emulated GPU. They set the order in which its streams run.
//
//   TEST_CASE("a wait that is forgotten" * test::needs_emulation) { ... }
#pragma once

#include "gpu.h"

#include <cstdint>

namespace kindred::test {

// Left out without an emulated GPU.
inline constinit const GpuCases needs_emulation{"needs an emulated GPU"};

// While an object lives, the order is drawn from `seed`, or everything is done at once. Afterwards it is drawn
// again.
class DrawnOrder {
 public:
  explicit DrawnOrder(std::uint64_t seed) { gpu().emulation->draw_order(seed); }
  ~DrawnOrder() { gpu().emulation->draw_order(1); }
  DrawnOrder(const DrawnOrder&) = delete;
  DrawnOrder& operator=(const DrawnOrder&) = delete;
};

class AtOnce {
 public:
  AtOnce() { gpu().emulation->run_at_once(); }
  ~AtOnce() { gpu().emulation->draw_order(1); }
  AtOnce(const AtOnce&) = delete;
  AtOnce& operator=(const AtOnce&) = delete;
};

}  // namespace kindred::test
