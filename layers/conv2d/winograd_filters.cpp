// Filters and their gradients, between pixels and the transformed basis. As many filters at a time as vectors have lanes.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/winograd.h>

#include <algorithm>
#include <cstddef>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE <kindred/layers/conv2d/winograd_filters.cpp>
#include <hwy/foreach_target.h>  // compiles this file for the other kinds of vectors
#include <kindred/layers/conv2d/winograd_internal.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::winograd::HWY_NAMESPACE {
namespace {

constexpr int taps = 9;  // of a filter

// to = G from
void filter_line(const Vector (&from)[3], Vector (&to)[inputs]) {
  const Vector quarter = broadcast(1 / 4.f), sixth = broadcast(1 / 6.f);
  const Vector twelfth = broadcast(1 / 12.f), half_twelfth = broadcast(1 / 24.f);
  const Vector near = hn::Mul(sixth, hn::Add(from[0], from[2])), near_odd = hn::Mul(sixth, from[1]);
  const Vector far = hn::MulAdd(sixth, from[2], hn::Mul(half_twelfth, from[0]));
  const Vector far_odd = hn::Mul(twelfth, from[1]);
  to[0] = hn::Mul(quarter, from[0]);
  to[1] = hn::Sub(zero(), hn::Add(near, near_odd));
  to[2] = hn::Sub(near_odd, near);
  to[3] = hn::Add(far, far_odd);
  to[4] = hn::Sub(far, far_odd);
  to[5] = from[2];
}

// to = G^T from
void filter_gradient_line(const Vector (&from)[inputs], Vector (&to)[3]) {
  const Vector quarter = broadcast(1 / 4.f), sixth = broadcast(1 / 6.f);
  const Vector twelfth = broadcast(1 / 12.f), half_twelfth = broadcast(1 / 24.f);
  const Vector near = hn::Mul(sixth, hn::Add(from[1], from[2]));
  const Vector far = hn::Add(from[3], from[4]);
  to[0] = hn::Sub(hn::MulAdd(quarter, from[0], hn::Mul(half_twelfth, far)), near);
  to[1] = hn::MulAdd(sixth, hn::Sub(from[2], from[1]), hn::Mul(twelfth, hn::Sub(from[3], from[4])));
  to[2] = hn::Add(hn::MulSub(sixth, far, near), from[5]);
}

// u[position * step ...] = G w G^T of as many filters as there are lanes; w[tap].
void transform_lanes(const Vector (&w)[taps], float* u, std::ptrdiff_t step) {
  Vector half[inputs][3];
#pragma GCC unroll 3
  for (int b = 0; b < 3; ++b) {
    const Vector column[3] = {w[b], w[3 + b], w[6 + b]};
    Vector to[inputs];
    filter_line(column, to);
#pragma GCC unroll 6
    for (int i = 0; i < inputs; ++i) half[i][b] = to[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < inputs; ++i) {
    Vector to[inputs];
    filter_line(half[i], to);
#pragma GCC unroll 6
    for (int j = 0; j < inputs; ++j) store(u + (i * inputs + j) * step, to[j]);
  }
}

// Neighbours in w are neighbours in u.
void transform_turned(const ConvShape& s, const float* w, std::int64_t k, float* u) {
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    Vector turned[taps];
#pragma GCC unroll 9
    for (int tap = 0; tap < taps; ++tap) turned[tap] = load(w + (k * taps + taps - 1 - tap) * s.c + c);
    transform_lanes(turned, u + k * s.c + c, filter_step(s));
  }
}

// As many k as there are lanes, which are neighbours in u and not in w.
void transform_upright(const ConvShape& s, const float* w, std::int64_t k, float* u) {
  alignas(64) float by_channel[taps][lanes][lanes];  // [tap][c][k]
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    for (int tap = 0; tap < taps; ++tap)
      transpose(w + (k * taps + tap) * s.c + c, taps * s.c, by_channel[tap][0], lanes);
    for (int i = 0; i < lanes; ++i) {
      Vector of_channel[taps];
#pragma GCC unroll 9
      for (int tap = 0; tap < taps; ++tap) of_channel[tap] = load(by_channel[tap][i]);
      transform_lanes(of_channel, u + (c + i) * s.k + k, filter_step(s));
    }
  }
}

// w[tap] = G^T u G of as many filters as there are lanes, where u is the sum of so many arrays.
void transform_lanes_back(const float* u, std::ptrdiff_t step, int arrays, std::ptrdiff_t array_step, float* w,
                          std::ptrdiff_t tap_step) {
  Vector half[3][inputs];
#pragma GCC unroll 6
  for (int j = 0; j < inputs; ++j) {
    Vector column[inputs], to[3];
#pragma GCC unroll 6
    for (int i = 0; i < inputs; ++i) {
      const float* from = u + (i * inputs + j) * step;
      column[i] = load(from);
      for (int array = 1; array < arrays; ++array)  // always in the same order
        column[i] = hn::Add(column[i], load(from + array * array_step));
    }
    filter_gradient_line(column, to);
#pragma GCC unroll 3
    for (int a = 0; a < 3; ++a) half[a][j] = to[a];
  }
#pragma GCC unroll 3
  for (int a = 0; a < 3; ++a) {
    Vector to[3];
    filter_gradient_line(half[a], to);
#pragma GCC unroll 3
    for (int b = 0; b < 3; ++b) store(w + (a * 3 + b) * tap_step, to[b]);
  }
}

void transform_back(const ConvShape& s, const float* u, int arrays, std::int64_t k, float* dw) {
  alignas(64) float by_channel[taps][lanes][lanes];  // [tap][c][k]
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    for (int i = 0; i < lanes; ++i)
      transform_lanes_back(u + (c + i) * s.k + k, filter_step(s), arrays, positions * filter_step(s),
                           by_channel[0][i], lanes * lanes);
    for (int tap = 0; tap < taps; ++tap)
      transpose(by_channel[tap][0], lanes, dw + (k * taps + tap) * s.c + c, taps * s.c);
  }
}

}  // namespace

void transform_filters(const ConvShape& s, bool turned, const float* w, float* u) {
  parallel_for(s.k / lanes, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin * lanes; k < end * lanes; k += lanes) {
      if (!turned) transform_upright(s, w, k, u);
      for (std::int64_t i = 0; turned && i < lanes; ++i) transform_turned(s, w, k + i, u);
    }
  });
}

void transform_filter_gradients_back(const ConvShape& s, const float* u, int arrays, float* dw) {
  parallel_for(s.k / lanes, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin * lanes; k < end * lanes; k += lanes) transform_back(s, u, arrays, k, dw);
  });
}

}  // namespace kindred::winograd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
