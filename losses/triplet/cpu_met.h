// What cpu.cpp learns from one positive and all negatives of an anchor, whatever the vectors.
#pragma once

#include <cstdint>

namespace kindred {

struct Met {
  float loss;                   // the sum over active triplets
  std::int32_t chosen, active;  // triplets
};

}  // namespace kindred
