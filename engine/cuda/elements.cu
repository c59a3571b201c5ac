#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/packs.h>
#include <kindred/engine/kernels/with_type.h>
#include <kindred/engine/random/philox.h>

#include <limits>

namespace kindred::cuda {
namespace {

constexpr int threads = 256;
constexpr int per_thread = 4;

// Calls body(i) for every i in [0, count). Neighbouring threads take neighbouring elements.
template <typename Body>
__device__ void for_elements(std::int64_t count, Body body) {
  const std::int64_t first = std::int64_t{blockIdx.x} * threads * per_thread + threadIdx.x;
  for (int i = 0; i < per_thread; ++i)
    if (first + i * threads < count) body(first + i * threads);
}

template <typename T>
__global__ void fill_kernel(T* to, double value, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) { to[i] = convert_element<T>(value); });
}

template <typename To, typename From>
__global__ void convert_kernel(const From* from, To* to, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) { to[i] = convert_element<To>(from[i]); });
}

// One tensor that becomes f32. Its elements are counted in 32 bits: no filter has 2^31.
struct WideningPart {
  const void* from;
  float* to;
  int count;           // elements of `to`
  int columns, width;  // of a row of `to` and of `from`
  int first_block;
  bool adds;
};

// By value, so that a recorded launch needs no memory that must live as long as the recording.
struct WideningParts {
  int count;
  WideningPart part[most_widenings];
};
static_assert(sizeof(WideningParts) <= 4096, "what a kernel can be given by value");

constexpr int widening_pack =
    4;  // 8 bytes are loaded, and neighbouring threads store 16 bytes each side by side
constexpr int widening_packs = 8;  // of a thread, all loaded before the first store
constexpr int widening_block = threads * widening_pack * widening_packs;  // elements

// The part of a block: the last one that begins at or before it.
__device__ inline const WideningPart& part_of(const WideningParts& parts, int block) {
  int first = 0, count = parts.count;
  while (count > 1) {
    const int half = count / 2;
    const bool is_behind = parts.part[first + half].first_block <= block;
    first += is_behind ? half : 0;
    count = is_behind ? count - half : half;
  }
  return parts.part[first];
}

// Whole blocks of packs; what remains, rows that are cut and odd addresses take one element at a time.
template <typename T>
__global__ void __launch_bounds__(threads) widen_kernel(WideningParts parts) {
  const WideningPart& part = part_of(parts, static_cast<int>(blockIdx.x));
  const T* from = static_cast<const T*>(part.from);
  const int begin = (static_cast<int>(blockIdx.x) - part.first_block) * widening_block;
  const int thread = static_cast<int>(threadIdx.x);
  const bool is_cut = part.columns != part.width;
  const bool fits = reinterpret_cast<std::uintptr_t>(from) % (widening_pack * sizeof(T)) == 0 &&
                    reinterpret_cast<std::uintptr_t>(part.to) % (widening_pack * sizeof(float)) == 0;
  if (!is_cut && fits && part.count - begin >= widening_block) {
    const int first = begin + thread * widening_pack;
    Pack<T, widening_pack> narrow[widening_packs];
#pragma unroll
    for (int i = 0; i < widening_packs; ++i)
      narrow[i] = load<widening_pack>(from + first + i * threads * widening_pack);
#pragma unroll
    for (int i = 0; i < widening_packs; ++i) {
      Pack<float, widening_pack> wide;
#pragma unroll
      for (int k = 0; k < widening_pack; ++k) wide.element[k] = static_cast<float>(narrow[i].element[k]);
      float* to = part.to + first + i * threads * widening_pack;
      if (part.adds) {
        const auto before = load<widening_pack>(to);
#pragma unroll
        for (int k = 0; k < widening_pack; ++k) wide.element[k] = before.element[k] + wide.element[k];
      }
      store(to, wide);
    }
    return;
  }
  for (int i = thread; i < widening_block && begin + i < part.count; i += threads) {
    const int at = begin + i;
    const auto wide =
        static_cast<float>(from[is_cut ? at / part.columns * part.width + at % part.columns : at]);
    part.to[at] = part.adds ? part.to[at] + wide : wide;
  }
}

template <typename T>
__global__ void randomize_kernel(T* to, std::int64_t count) {
  for_elements(count, [=](std::int64_t i) {
    RandomStream stream(0, Purpose::test, static_cast<std::uint32_t>(i >> 32), static_cast<std::uint32_t>(i));
    const double number = stream.uniform(-1, 1);
    to[i] = static_cast<T>(sizeof(T) == 1 ? 128 * (number + 1) : number);
  });
}

}  // namespace

void fill(Output tensor, double value) {
  const std::int64_t count = tensor.numel();
  if (count == 0) return;
  with_type(tensor.dtype(), [&]<typename T>(T) {
    launch(fill_kernel<T>, blocks_for(count, threads * per_thread), threads, tensor.data<T>(), value, count);
  });
}

void convert(const Tensor& from, Output to) {
  const std::int64_t count = to.numel();
  if (count == 0) return;
  with_type(to.dtype(), [&]<typename To>(To) {
    with_type(from.dtype(), [&]<typename From>(From) {
      launch(convert_kernel<To, From>, blocks_for(count, threads * per_thread), threads, from.data<From>(),
             to.data<To>(), count);
    });
  });
}

void widen(std::span<const Widening> all) {
  for (std::size_t begin = 0; begin < all.size(); begin += most_widenings) {
    WideningParts parts{};
    std::int64_t blocks = 0;
    for (const Widening& each : all.subspan(begin, std::min<std::size_t>(most_widenings, all.size() - begin))) {
      const std::int64_t count = each.to.numel(), columns = each.to.shape().back(),
                         width = each.from.shape().back();
      check(columns <= width && count * width == each.from.numel() * columns, ExitCode::internal,
            "widen: a tensor of shape {} does not become one of shape {}", each.from.shape(), each.to.shape());
      check(each.from.dtype() == all.front().from.dtype(), ExitCode::internal, "widen: {} beside {}",
            name(each.from.dtype()), name(all.front().from.dtype()));
      check(each.from.numel() <= std::numeric_limits<int>::max() - widening_block, ExitCode::internal,
            "widen: {} elements are too many", each.from.numel());
      if (count == 0) continue;
      parts.part[parts.count++] = {each.from.raw(),
                                   each.to.data<float>(),
                                   static_cast<int>(count),
                                   static_cast<int>(columns),
                                   static_cast<int>(width),
                                   static_cast<int>(blocks),
                                   each.adds};
      blocks += (count + widening_block - 1) / widening_block;
    }
    if (parts.count == 0) continue;
    dispatch_cuda("widen", all.front().from.dtype(),
                  [&]<typename T>(T) { launch(widen_kernel<T>, blocks_for(blocks, 1), threads, parts); });
  }
}

void randomize(Output tensor) {
  const std::int64_t count = tensor.numel();
  const auto start = [&]<typename T>(T) {
    launch(randomize_kernel<T>, blocks_for(count, threads * per_thread), threads, tensor.data<T>(), count);
  };
  if (tensor.dtype() == DType::u8) return start(std::uint8_t{});
  dispatch_cuda("randomize", tensor.dtype(), start);
}

}  // namespace kindred::cuda
