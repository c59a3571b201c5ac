// Filters and their gradients, between pixels and the transformed basis. Sixteen filters at a time.
#include <kindred/engine/cpu/parallel.h>
#include <kindred/layers/conv2d/winograd_internal.h>

namespace kindred::winograd {
namespace {

constexpr int taps = 9;  // of a filter

// to = G from
KINDRED_AVX512 void filter_line(const __m512 (&from)[3], __m512 (&to)[inputs]) {
  const __m512 quarter = _mm512_set1_ps(1 / 4.f), sixth = _mm512_set1_ps(1 / 6.f);
  const __m512 twelfth = _mm512_set1_ps(1 / 12.f), half_twelfth = _mm512_set1_ps(1 / 24.f);
  const __m512 near = _mm512_mul_ps(sixth, _mm512_add_ps(from[0], from[2])),
               near_odd = _mm512_mul_ps(sixth, from[1]);
  const __m512 far = _mm512_fmadd_ps(sixth, from[2], _mm512_mul_ps(half_twelfth, from[0]));
  const __m512 far_odd = _mm512_mul_ps(twelfth, from[1]);
  to[0] = _mm512_mul_ps(quarter, from[0]);
  to[1] = _mm512_sub_ps(_mm512_setzero_ps(), _mm512_add_ps(near, near_odd));
  to[2] = _mm512_sub_ps(near_odd, near);
  to[3] = _mm512_add_ps(far, far_odd);
  to[4] = _mm512_sub_ps(far, far_odd);
  to[5] = from[2];
}

// to = G^T from
KINDRED_AVX512 void filter_gradient_line(const __m512 (&from)[inputs], __m512 (&to)[3]) {
  const __m512 quarter = _mm512_set1_ps(1 / 4.f), sixth = _mm512_set1_ps(1 / 6.f);
  const __m512 twelfth = _mm512_set1_ps(1 / 12.f), half_twelfth = _mm512_set1_ps(1 / 24.f);
  const __m512 near = _mm512_mul_ps(sixth, _mm512_add_ps(from[1], from[2]));
  const __m512 far = _mm512_add_ps(from[3], from[4]);
  to[0] = _mm512_sub_ps(_mm512_fmadd_ps(quarter, from[0], _mm512_mul_ps(half_twelfth, far)), near);
  to[1] = _mm512_fmadd_ps(sixth, _mm512_sub_ps(from[2], from[1]),
                          _mm512_mul_ps(twelfth, _mm512_sub_ps(from[3], from[4])));
  to[2] = _mm512_add_ps(_mm512_fmsub_ps(sixth, far, near), from[5]);
}

// u[position * step ...] = G w G^T of sixteen filters, one in each lane; w[tap].
KINDRED_AVX512 void transform_sixteen(const __m512 (&w)[taps], float* u, std::ptrdiff_t step) {
  __m512 half[inputs][3];
#pragma GCC unroll 3
  for (int b = 0; b < 3; ++b) {
    const __m512 column[3] = {w[b], w[3 + b], w[6 + b]};
    __m512 to[inputs];
    filter_line(column, to);
#pragma GCC unroll 6
    for (int i = 0; i < inputs; ++i) half[i][b] = to[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < inputs; ++i) {
    __m512 to[inputs];
    filter_line(half[i], to);
#pragma GCC unroll 6
    for (int j = 0; j < inputs; ++j) _mm512_storeu_ps(u + (i * inputs + j) * step, to[j]);
  }
}

// Neighbours in w are neighbours in u.
KINDRED_AVX512 void transform_turned(const ConvShape& s, const float* w, std::int64_t k, float* u) {
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    __m512 turned[taps];
#pragma GCC unroll 9
    for (int tap = 0; tap < taps; ++tap)
      turned[tap] = _mm512_loadu_ps(w + (k * taps + taps - 1 - tap) * s.c + c);
    transform_sixteen(turned, u + k * s.c + c, filter_step(s));
  }
}

// Sixteen k, which are neighbours in u and not in w.
KINDRED_AVX512 void transform_upright(const ConvShape& s, const float* w, std::int64_t k, float* u) {
  alignas(64) float by_channel[taps][lanes][lanes];  // [tap][c][k]
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    for (int tap = 0; tap < taps; ++tap)
      transpose(w + (k * taps + tap) * s.c + c, taps * s.c, by_channel[tap][0], lanes);
    for (int i = 0; i < lanes; ++i) {
      __m512 of_channel[taps];
#pragma GCC unroll 9
      for (int tap = 0; tap < taps; ++tap) of_channel[tap] = _mm512_load_ps(by_channel[tap][i]);
      transform_sixteen(of_channel, u + (c + i) * s.k + k, filter_step(s));
    }
  }
}

// w[tap] = G^T u G of sixteen filters, where u is the sum of so many arrays.
KINDRED_AVX512 void transform_sixteen_back(const float* u, std::ptrdiff_t step, int arrays,
                                           std::ptrdiff_t array_step, float* w, std::ptrdiff_t tap_step) {
  __m512 half[3][inputs];
#pragma GCC unroll 6
  for (int j = 0; j < inputs; ++j) {
    __m512 column[inputs], to[3];
#pragma GCC unroll 6
    for (int i = 0; i < inputs; ++i) {
      const float* from = u + (i * inputs + j) * step;
      column[i] = _mm512_loadu_ps(from);
      for (int array = 1; array < arrays; ++array)  // always in the same order
        column[i] = _mm512_add_ps(column[i], _mm512_loadu_ps(from + array * array_step));
    }
    filter_gradient_line(column, to);
#pragma GCC unroll 3
    for (int a = 0; a < 3; ++a) half[a][j] = to[a];
  }
#pragma GCC unroll 3
  for (int a = 0; a < 3; ++a) {
    __m512 to[3];
    filter_gradient_line(half[a], to);
#pragma GCC unroll 3
    for (int b = 0; b < 3; ++b) _mm512_storeu_ps(w + (a * 3 + b) * tap_step, to[b]);
  }
}

KINDRED_AVX512 void transform_back(const ConvShape& s, const float* u, int arrays, std::int64_t k, float* dw) {
  alignas(64) float by_channel[taps][lanes][lanes];  // [tap][c][k]
  for (std::int64_t c = 0; c < s.c; c += lanes) {
    for (int i = 0; i < lanes; ++i)
      transform_sixteen_back(u + (c + i) * s.k + k, filter_step(s), arrays, positions * filter_step(s),
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

}  // namespace kindred::winograd
