// The fuzz targets without libFuzzer: every seed, and inputs made from seeds by fixed rules.
#include "fuzz_target.h"

#include <doctest/doctest.h>
#include <kindred/engine/random/philox.h>

#include <algorithm>
#include <set>

using namespace kindred;
using fuzz::Bytes;

namespace {

// Changes a few bytes, removes or doubles a part, or cuts off the end.
Bytes mutate(Bytes bytes, RandomStream& random) {
  const std::uint32_t edits = 1 + random.below(4);
  for (std::uint32_t i = 0; i < edits && !bytes.empty(); ++i) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    const std::uint32_t at = random.below(random.below(2) == 0 ? size : std::min(size, 256u));
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto length = static_cast<std::ptrdiff_t>(random.below(std::min(size - at, 64u)));
    switch (random.below(6)) {
      case 0:
        bytes.erase(here, here + length);
        break;
      case 1: {
        const Bytes piece(here, here + length);
        bytes.insert(here, piece.begin(), piece.end());
        break;
      }
      case 2:
        if (random.below(4) == 0) bytes.resize(at);
        break;
      case 3:
        *here = random.below(2) == 0 ? 0x00 : 0xFF;
        break;
      default:
        *here ^= static_cast<std::uint8_t>(1 + random.below(255));
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("fuzz: every target takes its seeds and what is made from them") {
  std::set<std::string> names;
  for (const fuzz::Target& target : fuzz::targets()) {
    CAPTURE(target.name);
    CHECK(names.insert(target.name).second);
    const std::vector<Bytes> seeds = target.seeds();
    CHECK(!seeds.empty());
    target.run({});
    for (std::uint32_t s = 0; s < seeds.size(); ++s) {
      target.run(seeds[s]);
      RandomStream random(1, Purpose::augment, s);
      for (int i = 0; i < 1000 / static_cast<int>(seeds.size()); ++i) target.run(mutate(seeds[s], random));
    }
  }
  CHECK(names.contains("jpeg"));
}
