// Test cases that need an emulated GPU, whose streams run in an order that they set.
//
//   TEST_CASE("a wait that is forgotten" * test::needs_emulation) { ... }
#pragma once

#include "gpu.h"

#include <cstdint>

namespace kindred::test {

// Left out without one.
inline constinit const GpuCases needs_emulation{"needs an emulated GPU"};

// While one of these lives, the order is drawn from `seed`, or everything is done at
// once; afterwards drawn anew.
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
