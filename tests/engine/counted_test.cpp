#include <doctest/doctest.h>
#include <kindred/engine/counted.h>

#include <cstddef>
#include <cstdint>

namespace kindred {
namespace {

TEST_CASE("a count has its noun in the singular or the plural") {
  CHECK(counted(1, "image") == "1 image");
  CHECK(counted(0, "image") == "0 images");
  CHECK(counted(std::int64_t{2}, "class") == "2 classes");
  CHECK(counted(std::size_t{1}, "class") == "1 class");
  CHECK(counted(3, "batch") == "3 batches");
  CHECK(counted(3, "epoch") == "3 epochs");
}

}  // namespace
}  // namespace kindred
