// Products of a warpgroup. A warp's quarter of a product depends on no other warp, so each warp computes its own.
#define KINDRED_EMULATE
#include <kindred/engine/cuda/emulation/draws.h>
#include <kindred/engine/cuda/emulation/hopper/hopper.h>
#include <kindred/engine/cuda/emulation/hopper/state.h>
#include <kindred/engine/cuda/emulation/memory.h>
#include <kindred/engine/cuda/emulation/places.h>
#include <kindred/engine/cuda/emulation/threads.h>
#include <kindred/engine/cuda/tensor_core.h>

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace kindred::cuda {

using namespace emulation;

namespace emulated {

namespace {

constexpr int depth = 16, warp_rows = 16;
constexpr std::uint32_t poison = 0x7f85c5c5;  // a NaN that every computation changes, even into another NaN

std::string text_of(const void* place) {
  return line_of(reinterpret_cast<std::uintptr_t>(place));
}

using Sixteen = FactorsOf<depth>;

float float_of(std::uint16_t bf16) {
  return std::bit_cast<float>(std::uint32_t{bf16} << 16);
}

float bf16_at(const std::byte* at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return float_of(bits);
}

int first_row(unsigned warp) {
  return static_cast<int>(warp % 4) * warp_rows;
}

// Calls body(address) for each piece of shared memory that the warp's quarter of a product reads.
template <typename Body>
void for_factors(const Product& product, unsigned warp, Body body) {
  for (int row = 0; row < product.columns; ++row)
    for (int k = 0; k < depth; k += 8) body(element_at(product.b, row, k));
  if (product.a_in_registers) return;
  for (int row = 0; row < warp_rows; ++row)
    for (int k = 0; k < depth; k += 8) body(element_at(product.a, first_row(warp) + row, k));
}

Sums& sums_at(WarpState& warp, unsigned lane, const float* at) {
  return *std::find_if(warp.sums[lane].begin(), warp.sums[lane].end(),
                       [&](const Sums& sums) { return sums.at == at; });
}

void compute(WarpState& warp, unsigned number, Product& product) {
  product.done = true;
  Sixteen a[warp_rows];
  static std::vector<Sixteen> b(256);
  for (int row = 0; row < product.columns; ++row)
    for (int k = 0; k < depth; ++k)
      b[static_cast<std::size_t>(row)].set(k, bf16_at(element_at(product.b, row, k)));
  for (int row = 0; row < warp_rows; ++row)
    for (int k = 0; k < depth; ++k) {
      if (!product.a_in_registers) {
        a[row].set(k, bf16_at(element_at(product.a, first_row(number) + row, k)));
      } else {
        const std::uint32_t pair =
            product.a_registers[static_cast<unsigned>(row % 8 * 4 + k % 8 / 2)][row / 8 + k / 8 * 2];
        a[row].set(k, float_of(static_cast<std::uint16_t>(pair >> 16 * (k % 2))));
      }
    }
  for (unsigned lane = 0; lane < lanes; ++lane) {
    Sums& sums = sums_at(warp, lane, product.d[lane]);
    for (int i = 0; i < product.columns / 2; ++i) {
      const auto row = static_cast<std::size_t>(lane / 4 + static_cast<unsigned>(i / 2 % 2 * 8));
      const auto column = static_cast<std::size_t>(i / 4 * 8 + static_cast<int>(lane % 4) * 2 + i % 2);
      float& sum = sums.value[static_cast<std::size_t>(i)];
      sum = tensor_core_sum(product.add ? sum : 0.0f, a[row], b[column]);
    }
  }
}

void check_poison(const Sums& sums, unsigned lane, const void* place) {
  for (std::size_t i = 0; i < sums.value.size(); ++i)
    if (std::bit_cast<std::uint32_t>(sums.at[i]) != poison)
      stop([=, thread = running_thread() / lanes * lanes + lane] {
        return fmt::format("thread {} has changed sums of the product at {} that it has not waited for", thread,
                           text_of(place));
      });
}

// The sums of each lane, which nobody may touch from now on.
void take_sums(WarpState& warp, const Product& product) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    std::vector<Sums>& all = warp.sums[lane];
    const auto found =
        std::find_if(all.begin(), all.end(), [&](const Sums& sums) { return sums.at == product.d[lane]; });
    if (found != all.end()) {
      check_poison(*found, lane, product.place);
      ++found->uses;
      continue;
    }
    float* const at = product.d[lane];
    Sums sums{at, 1, std::vector<float>(at, at + product.columns / 2)};
    std::fill_n(at, product.columns / 2, std::bit_cast<float>(poison));
    all.push_back(std::move(sums));
  }
}

void give_back_sums(WarpState& warp, const Product& product) {
  for (unsigned lane = 0; lane < lanes; ++lane) {
    Sums& sums = sums_at(warp, lane, product.d[lane]);
    check_poison(sums, lane, product.place);
    if (--sums.uses > 0) continue;
    std::copy(sums.value.begin(), sums.value.end(), sums.at);
    std::erase_if(warp.sums[lane], [&](const Sums& one) { return &one == &sums; });
  }
}

// The four warps of a warpgroup start the same products.
void compare_with_group(Block& block, unsigned warp, const Product& product) {
  std::vector<std::uint64_t>& group = block.of_warpgroup[warp / 4];
  const std::uint64_t what = product.a ^ (product.b << 1) ^ static_cast<std::uint64_t>(product.columns);
  const std::size_t at = block.warps[warp].started++;
  if (at == group.size()) group.push_back(what);
  if (group[at] != what)
    stop([=, place = product.place] {
      return fmt::format("the warps of a warpgroup start different products at {}", text_of(place));
    });
}

// All lanes of the warp have come with their part of this product.
void start(Block& block, unsigned number, WarpState& warp) {
  Product& product = warp.products.back();
  if (!warp.fenced)
    stop([place = product.place] {
      return fmt::format(
          "the product at {} is started without multiply_fence() since the registers were last free",
          text_of(place));
    });
  compare_with_group(block, number, product);
  for_factors(product, number, [&](const std::byte* at) { read_piece(block, at, product.place); });
  take_sums(warp, product);
  if (product.at_once &&
      std::all_of(warp.products.begin(), warp.products.end() - 1, [](const Product& p) { return p.done; }))
    compute(warp, number, product);
}

void finish(Block& block, unsigned number, WarpState& warp, Product& product) {
  // As if it read until now: what was written in between is an error.
  for_factors(product, number, [&](const std::byte* at) { read_piece(block, at, product.place); });
  if (!product.done) compute(warp, number, product);
  give_back_sums(warp, product);
}

}  // namespace

bool gather(WarpState& warp) {
  if (++warp.gathered < lanes) return false;
  warp.gathered = 0;
  return true;
}

void meet(Operation operation) {
  meet_lanes(LaneOperation::multiply, 0xffffffffu, 0, static_cast<std::size_t>(operation), -1);
}

std::byte* element_at(std::uint64_t descriptor, int row, int column) {
  const auto field = [&](int shift) { return static_cast<std::uint32_t>(descriptor >> shift & 0x3fff) << 4; };
  const std::uint32_t start = field(0), along = field(16), groups = field(32);
  const auto r = static_cast<std::uint32_t>(row), c = static_cast<std::uint32_t>(column);
  std::uint32_t address;
  switch (descriptor >> 62) {
    case 0:  // groups of eight rows by 16 bytes, each in one piece
      address = start + r / 8 * groups + r % 8 * 16 + c / 8 * along + c % 8 * 2;
      break;
    case 1:
      address = start + r / 8 * groups + r % 8 * 128 + c * 2;
      address ^= (address >> 7 & 7) << 4;
      break;
    default:
      stop([] {
        return std::string(
            "the emulation knows matrix descriptors without a swizzle, and with one of 128 bytes");
      });
  }
  const std::ptrdiff_t offset =
      static_cast<std::ptrdiff_t>(address) - static_cast<std::ptrdiff_t>(shared_address(shared_base()));
  if (offset < 0 || offset + 16 > static_cast<std::ptrdiff_t>(most_dynamic_shared))
    stop([] { return std::string("a matrix descriptor reaches beyond dynamic shared memory"); });
  return shared_base() + offset;
}

void check_unread(const Block& block, const std::byte* at, std::size_t bytes, const void* place) {
  for (unsigned w = 0; w < most_warps; ++w)
    for (const Product& product : block.warps[w].products)
      for_factors(product, w, [&](const std::byte* read) {
        if (read < at || read >= at + bytes) return;
        stop([=, of = product.place] {
          return fmt::format(
              "the copy at {} writes over factors of the product at {}, for which warp {} has not waited",
              text_of(place), text_of(of), w);
        });
      });
}

void start_multiply(float* d, int columns, const std::uint32_t* a_registers, std::uint64_t a, std::uint64_t b,
                    bool add) {
  const void* const place = __builtin_return_address(0);
  Block& block = running();
  const unsigned number = running_warp(), lane = running_thread() % lanes;
  WarpState& warp = block.warps[number];
  if (warp.gathered == 0)
    warp.products.push_back({.d = {},
                             .a_registers = {},
                             .a = a,
                             .b = b,
                             .columns = columns,
                             .add = add,
                             .a_in_registers = a_registers != nullptr,
                             .at_once = draw(2) == 0,
                             .place = place});
  Product& product = warp.products.back();
  if (product.a != a || product.b != b || product.columns != columns || product.add != add)
    stop([=] { return fmt::format("lanes of a warp start different products at {}", text_of(place)); });
  product.d[lane] = d;
  product.a_registers[lane] = a_registers;
  if (gather(warp)) start(block, number, warp);
  meet(Operation::start);
}

void multiply_wait(int pending) {
  Block& block = running();
  const unsigned number = running_warp();
  WarpState& warp = block.warps[number];
  if (gather(warp)) {
    const auto is_due = [&](const Product& p) { return p.commit >= 0 && p.commit < warp.commits - pending; };
    for (Product& product : warp.products)
      if (is_due(product)) finish(block, number, warp, product);
    std::erase_if(warp.products, is_due);
    if (warp.products.empty()) warp.fenced = false;
  }
  meet(Operation::wait);
}

}  // namespace emulated

using namespace emulated;

void multiply_fence() {
  WarpState& warp = running().warps[running_warp()];
  if (gather(warp)) warp.fenced = true;
  meet(Operation::fence);
}

void multiply_commit() {
  WarpState& warp = running().warps[running_warp()];
  if (gather(warp)) {
    for (Product& product : warp.products)
      if (product.commit < 0) product.commit = warp.commits;
    ++warp.commits;
  }
  meet(Operation::commit);
}

}  // namespace kindred::cuda
