#include "gradcheck.h"

#include <kindred/losses/gathered/gathered.h>

namespace kindred::gradcheck {
namespace {

// One process alone. Several are compared with one in tests/losses/shared_losses_test.cpp.
Case all_rows_case(const std::string& variant, const Shape& shape, int views) {
  return {
      .operation = "all_rows",
      .variant = variant,
      .inputs = {uniform(shape)},
      .function = [views](const std::vector<Tensor>& in) { return all_rows(Communicator(), in[0], views); }};
}

const bool added[] = {
    add_case(all_rows_case("two views", {6, 3}, 2)),
    add_case(all_rows_case("three views of images", {3, 2, 2, 5}, 3)),
};

}  // namespace
}  // namespace kindred::gradcheck
