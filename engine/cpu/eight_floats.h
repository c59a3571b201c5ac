// Eight floats at a time, for loops whose speed is that of the memory: the bits of a mask for eight elements are one byte.
// Loads and stores accept float or bfloat16 memory; the arithmetic is in float. For each kind of vectors (vectors.h).

#if defined(KINDRED_ENGINE_CPU_EIGHT_FLOATS_TARGET) == defined(HWY_TARGET_TOGGLE)
#ifdef KINDRED_ENGINE_CPU_EIGHT_FLOATS_TARGET
#undef KINDRED_ENGINE_CPU_EIGHT_FLOATS_TARGET
#else
#define KINDRED_ENGINE_CPU_EIGHT_FLOATS_TARGET
#endif

#include <kindred/engine/cpu/vectors.h>
#include <kindred/engine/dtype.h>

HWY_BEFORE_NAMESPACE();
namespace kindred::HWY_NAMESPACE {

// One vector of eight lanes, or as many narrower ones as make eight.
using PartOfEight = hn::CappedTag<float, 8>;
constexpr PartOfEight part_of_eight;
constexpr hn::RebindToUnsigned<PartOfEight> bits_of_part;
constexpr int part_lanes = static_cast<int>(hn::MaxLanes(part_of_eight));
constexpr int parts = 8 / part_lanes;

struct Vec8 {
  HWY_INLINE Vec8() {}  // written out, because the compiler's own would not be for these vectors
  hn::Vec<PartOfEight> part[parts];
};

template <typename F>
HWY_INLINE Vec8 each_part(F&& f) {
  Vec8 result;
  for (int i = 0; i < parts; ++i) result.part[i] = f(i);
  return result;
}

HWY_INLINE Vec8 broadcast8(float value) {
  return each_part([&](int) HWY_ATTR { return hn::Set(part_of_eight, value); });
}
HWY_INLINE Vec8 load8(const float* p) {
  return each_part([&](int i) HWY_ATTR { return hn::LoadU(part_of_eight, p + i * part_lanes); });
}
HWY_INLINE Vec8 load8(const BFloat16* p) {
  constexpr hn::Rebind<std::uint16_t, PartOfEight> half;
  return each_part([&](int i) HWY_ATTR {
    const auto bits = hn::LoadU(half, reinterpret_cast<const std::uint16_t*>(p) + i * part_lanes);
    return hn::BitCast(part_of_eight, hn::ShiftLeft<16>(hn::PromoteTo(bits_of_part, bits)));
  });
}
HWY_INLINE void store8(float* p, Vec8 v) {
  for (int i = 0; i < parts; ++i) hn::StoreU(v.part[i], part_of_eight, p + i * part_lanes);
}
// Rounds to nearest, ties to even. A NaN may become an infinity. It stays non-finite, and that is all that the
// checks look for.
HWY_INLINE void store8(BFloat16* p, Vec8 v) {
  constexpr hn::Rebind<std::uint16_t, PartOfEight> half;
  constexpr hn::RebindToSigned<PartOfEight> whole;
  for (int i = 0; i < parts; ++i) {
    const auto bits = hn::BitCast(bits_of_part, v.part[i]);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(bits_of_part, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(bits_of_part, 0x7fff))));
    hn::StoreU(hn::DemoteTo(half, hn::BitCast(whole, rounded)), half,
               reinterpret_cast<std::uint16_t*>(p) + i * part_lanes);
  }
}
HWY_INLINE Vec8 operator+(Vec8 a, Vec8 b) {
  return each_part([&](int i) HWY_ATTR { return hn::Add(a.part[i], b.part[i]); });
}
HWY_INLINE Vec8 operator-(Vec8 a, Vec8 b) {
  return each_part([&](int i) HWY_ATTR { return hn::Sub(a.part[i], b.part[i]); });
}
HWY_INLINE Vec8 operator*(Vec8 a, Vec8 b) {
  return each_part([&](int i) HWY_ATTR { return hn::Mul(a.part[i], b.part[i]); });
}
// a * b + c with a single rounding, where the processor has that.
HWY_INLINE Vec8 multiply_add(Vec8 a, Vec8 b, Vec8 c) {
  return each_part([&](int i) HWY_ATTR { return hn::MulAdd(a.part[i], b.part[i], c.part[i]); });
}
// max(v, 0), but a NaN stays a NaN: it must reach the loss, where it is reported.
HWY_INLINE Vec8 relu(Vec8 v) {
  return each_part([&](int i) HWY_ATTR {
    return hn::IfThenZeroElse(hn::Le(v.part[i], hn::Zero(part_of_eight)), v.part[i]);
  });
}
// Bit i is set where lane i is above zero or is a NaN. A NaN must pass the ReLU, because it is reported at the loss.
HWY_INLINE std::uint8_t positive_bits(Vec8 v) {
  unsigned result = 0;
  for (int i = 0; i < parts; ++i) {
    std::uint8_t bits = 0;  // of the lanes that are not above zero
    hn::StoreMaskBits(part_of_eight, hn::Le(v.part[i], hn::Zero(part_of_eight)), &bits);
    result |= static_cast<unsigned>(bits) << (i * part_lanes);
  }
  return static_cast<std::uint8_t>(~result);
}
// Keeps lane i where bit i is set; the other lanes become zero.
HWY_INLINE Vec8 keep_bits(std::uint8_t bits, Vec8 v) {
  alignas(32) static constexpr std::uint32_t one_bit_each[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  return each_part([&](int i) HWY_ATTR {
    const auto bit = hn::Load(bits_of_part, one_bit_each + i * part_lanes);
    const auto chosen = hn::TestBit(hn::Set(bits_of_part, bits), bit);
    return hn::IfThenElseZero(hn::RebindMask(part_of_eight, chosen), v.part[i]);
  });
}

}  // namespace kindred::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
