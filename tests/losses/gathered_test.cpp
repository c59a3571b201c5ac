// What is gathered from processes, and the gradient of rows that are: exactly.
#include <kindred/engine/tape.h>
#include <kindred/losses/gathered/gathered.h>

#include "../engine/communicator/threads.h"
#include "../errors.h"
#include "shared_evaluate.h"

#include <doctest/doctest.h>

namespace kindred {
namespace {

using namespace shared_losses;
using test::code_of;

TEST_CASE("many processes: rows are gathered in the order of one process") {
  const Rows rows = unit_rows(3, 12, 5, 12);
  for (const Arithmetic& a : arithmetics)
    for (const int size : sizes)
      run_processes(size, [&](const Communicator& processes) {
        const auto require = [](bool right) { check(right, ExitCode::internal, "not in the order of one"); };
        const Tensor own = features_of(rows, processes, a), labels = labels_of(rows, processes, a);
        const Tensor all = gathered_views(processes, own, rows.views);
        require(all.shape() == Shape{36, 5} && all.to_vector<double>() == rows.features);
        require(gathered_views(processes, labels, rows.views).to_vector<std::int32_t>() == rows.labels);
        require(!all.requires_grad());
        // A shape of more axes.
        const Tensor images = gathered_views(processes, own.reshape({own.dim(0), 1, 5, 1}), rows.views);
        require(images.shape() == Shape{36, 1, 5, 1} && images.to_vector<double>() == rows.features);
      });
  const Tensor own = features_of(rows, Communicator(), arithmetics[0]);
  CHECK(gathered_views(Communicator(), own, 3).raw() == own.raw());
  for (const int views : {0, 5})
    CHECK(code_of([&] { all_rows(Communicator(), own, views); }) == ExitCode::internal);
}

TEST_CASE("many processes: the gradient of all rows is that of the own ones") {
  const Rows rows = unit_rows(2, 12, 5, 13), cotangent = unit_rows(2, 12, 5, 14);
  for (const Arithmetic& a : arithmetics)
    for (const int size : sizes)
      run_processes(size, [&](const Communicator& processes) {
        Tensor own = features_of(rows, processes, a);
        own.set_requires_grad();
        Tape tape;
        const Tensor all = all_rows(processes, own, rows.views);
        tape.backward(all, features_of(cotangent, Communicator(), a));
        const std::vector<double> gradient = tape.gradient(own).to_vector<double>(),
                                  expected = features_of(cotangent, processes, a).to_vector<double>();
        check(all.to_vector<double>() == rows.features && gradient == expected, ExitCode::internal,
              "not the gradient of the own rows");
      });
}

}  // namespace
}  // namespace kindred
