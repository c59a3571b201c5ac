// When gradients are final, and their sums over processes.
#include "../../errors.h"
#include "../../gradcheck/gradcheck.h"
#include "threads.h"

#include <doctest/doctest.h>
#include <kindred/engine/communicator/gradient_sums.h>
#include <kindred/layers/linear/linear.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace kindred {
namespace {

using gradcheck::relative_difference;
using Doubles = std::vector<double>;

// Four layers, of which the second is used twice and the last not at all.
struct Network {
  explicit Network(DType type = DType::f64)
      : first(store, "first", 5, 7),
        twice(store, "twice", 7, 7),
        last(store, "last", 7, 3),
        unused(store, "unused", 2, 2) {
    store.allocate(Device::reference, 4, type, type);
  }
  Tensor operator()(const Tensor& x) const {
    return last(twice.with_relu(twice.with_relu(first.with_relu(x))));
  }
  Doubles gradients() const { return store.flat_gradients().to_vector<double>(); }

  ParameterStore store;
  Linear first, twice, last, unused;
};

Tensor random_rows(std::int64_t columns, std::uint32_t number, DType type = DType::f64) {
  Doubles values(static_cast<std::size_t>(6 * columns));
  RandomStream random(93, Purpose::test, number);
  for (double& value : values) value = random.normal();
  return Tensor::from(values, {6, columns}, Device::reference).to(Device::reference, type);
}

// Leaves the gradients of a pass under a random cotangent in the store.
void run_backward(Network& network, std::uint32_t number, GradientSums* sums, DType type = DType::f64) {
  Tape tape;
  network.store.attach(tape);
  if (sums != nullptr) sums->follow(tape);
  tape.backward(network(random_rows(5, 2 * number, type)), random_rows(3, 2 * number + 1, type));
}

TEST_CASE("tape: says when a gradient is final, once for each buffer and not too early") {
  Network network;
  Tensor(network.store.flat_gradients()).fill(100);  // of an earlier pass
  std::map<std::uint64_t, std::string> names;
  std::map<std::string, Doubles> when_final;
  std::vector<std::string> order;
  int entries = 0;
  {
    Tape tape;
    network.store.attach(tape);
    for (const Parameter& parameter : network.store.parameters()) names[parameter.value.id()] = parameter.name;
    tape.when_gradient_is_final([&](std::uint64_t id) {
      const std::string& name = names.at(id);
      CHECK_FALSE(when_final.contains(name));
      when_final[name] = network.store.find(name).gradient.to_vector<double>();
      order.push_back(name);
    });
    tape.after_each_entry([&] { ++entries; });
    const Tensor y = network(random_rows(5, 0));
    linear(random_rows(5, 1), network.first.weight.value, Tensor());  // an entry that no gradient reaches
    const auto recorded = static_cast<int>(tape.entries().size());
    tape.backward(y, random_rows(3, 1));
    CHECK(entries == recorded);
  }
  REQUIRE(order.size() == 8);
  const auto place = [&](const std::string& name) {
    return std::find(order.begin(), order.end(), name) - order.begin();
  };
  CHECK(place("last.weight") < 2);
  CHECK(place("last.bias") < 2);
  CHECK(place("twice.weight") < place("first.weight"));
  CHECK(place("unused.weight") > 5);  // with its bias, after the walk
  CHECK(place("unused.bias") > 5);
  for (const Parameter& parameter : network.store.parameters()) {
    CAPTURE(parameter.name);
    CHECK(when_final.at(parameter.name) == parameter.gradient.to_vector<double>());
    const bool is_zero = when_final.at(parameter.name) == Doubles(when_final.at(parameter.name).size());
    CHECK(is_zero == parameter.name.starts_with("unused"));
  }
  Network plain;
  run_backward(plain, 0, nullptr);
  for (const Parameter& parameter : network.store.parameters())  // what lies between them was filled above
    CHECK(plain.store.find(parameter.name).gradient.to_vector<double>() ==
          parameter.gradient.to_vector<double>());
}

// The gradients of every process alone, then summed in the order of the ranks.
Doubles expected_sum(int size, DType type = DType::f64) {
  Doubles sum;
  for (int rank = 0; rank < size; ++rank) {
    Network network(type);
    run_backward(network, static_cast<std::uint32_t>(rank), nullptr, type);
    const Doubles own = network.gradients();
    sum.resize(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) sum[i] += own[i];
  }
  return sum;
}

TEST_CASE("gradient sums: in buckets, during backward or after it, the sum over all processes") {
  for (const int size : {2, 3})
    for (const bool follows : {true, false})
      for (const std::int64_t bucket_bytes :
           {std::int64_t{1}, std::int64_t{1200}, GradientSums::usual_bucket_bytes}) {
        CAPTURE(size);
        CAPTURE(follows);
        CAPTURE(bucket_bytes);
        std::vector<Doubles> results(static_cast<std::size_t>(size));
        std::vector<GradientSums::Figures> figures(results.size());
        run_processes(size, [&](const Communicator& processes) {
          const auto rank = static_cast<std::size_t>(processes.rank());
          Network network;
          GradientSums sums(processes, network.store, DType::f32, bucket_bytes);
          for (int pass = 0; pass < 2; ++pass) {  // the second begins afresh
            run_backward(network, static_cast<std::uint32_t>(rank), follows ? &sums : nullptr);
            sums.finish();
          }
          results[rank] = network.gradients();
          figures[rank] = sums.figures();
        });
        const Doubles expected = expected_sum(size);
        CHECK(relative_difference(Doubles(expected.size()), expected) > 0.9);  // it is not zero
        for (const Doubles& result : results) {
          CHECK(result == results[0]);
          CHECK(relative_difference(result, expected) < 1e-14);
        }
        for (const GradientSums::Figures& each : figures) {
          CHECK(each.buckets == (bucket_bytes == 1 ? 8 : bucket_bytes == 1200 ? 3 : 1));
          // The layer that takes no part is the last of the store, and its sums go first. So none starts early.
          CHECK(each.started_early == 0);
          CHECK(each.seconds_waited >= 0);
        }
      }
}

TEST_CASE("gradient sums: parameters without a gradient are not sent, and the rest goes early") {
  std::vector<Doubles> results(2);
  std::vector<GradientSums::Figures> figures(2);
  run_processes(2, [&](const Communicator& processes) {
    const auto rank = static_cast<std::size_t>(processes.rank());
    Network network;
    GradientSums sums(processes, network.store, DType::f32, 1,
                      [](const Parameter& parameter) { return parameter.name.starts_with("unused"); });
    run_backward(network, static_cast<std::uint32_t>(rank), &sums);
    network.unused.weight.gradient.fill(static_cast<double>(rank) + 1);  // stays as it is
    sums.finish();
    for (const double value : network.unused.weight.gradient.to_vector<double>())
      check(value == static_cast<double>(rank) + 1, ExitCode::internal, "an element became {}", value);
    network.unused.weight.gradient.fill(0);
    results[rank] = network.gradients();
    figures[rank] = sums.figures();
  });
  CHECK(results[0] == results[1]);
  CHECK(relative_difference(results[0], expected_sum(2)) < 1e-14);
  for (const GradientSums::Figures& each : figures) {
    CHECK(each.buckets == 6);
    CHECK(each.started_early == 4);  // all but those of the first layer, with which backward ends
    CHECK(each.steps == 1);
    CHECK(each.since(each).steps == 0);
    CHECK(each.since(each).seconds_waited == 0);
    REQUIRE(each.sent.size() == 6);
    for (std::size_t bucket = 0; bucket < 6; ++bucket) {
      CHECK(each.sent[bucket].bytes > 0);
      CHECK(each.sent[bucket].seconds_ahead > 0);  // also the last one: finish() came later
      if (bucket > 0) CHECK(each.sent[bucket].seconds_ahead <= each.sent[bucket - 1].seconds_ahead);
    }
  }
}

TEST_CASE("gradient sums: bf16 on the wire rounds, and only that") {
  for (const DType type : {DType::f32, DType::f64}) {
    std::vector<Doubles> results(3);
    run_processes(3, [&](const Communicator& processes) {
      const auto rank = static_cast<std::size_t>(processes.rank());
      Network network(type);
      GradientSums sums(processes, network.store, DType::bf16, 400);
      for (int pass = 0; pass < 2; ++pass) {
        run_backward(network, static_cast<std::uint32_t>(rank), &sums, type);
        sums.finish();
      }
      results[rank] = network.gradients();
    });
    const double difference = relative_difference(results[0], expected_sum(3, type));
    CHECK(difference < 0x1p-7);  // three roundings to 8 bits
    CHECK(difference > 0x1p-12);
    for (const Doubles& result : results) CHECK(result == results[0]);
    for (const double value : results[0])
      CHECK(value == static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(value)))));
  }
}

TEST_CASE("gradient sums: one process alone changes nothing") {
  const Communicator alone;
  Network network, expected;
  run_backward(expected, 0, nullptr);
  GradientSums sums(alone, network.store);
  run_backward(network, 0, &sums);
  sums.finish();
  CHECK(network.gradients() == expected.gradients());
}

TEST_CASE("gradient sums: wrong uses are refused") {
  const Communicator alone;
  Network network;
  ParameterStore empty;
  CHECK(test::error_of([&] { GradientSums(alone, empty); }).find("before the parameters were allocated") !=
        std::string::npos);
  CHECK(test::error_of([&] { GradientSums(alone, network.store, DType::f16); }) ==
        "gradients cannot be sent as f16; expected f32 or bf16");
  CHECK_THROWS_AS(GradientSums(alone, network.store, DType::f32, 0), Error);
  GradientSums sums(alone, network.store, DType::f32, 1);
  run_backward(network, 0, &sums);
  Tape tape;
  CHECK(test::error_of([&] { sums.follow(tape); }).find("call finish() after each pass") != std::string::npos);
  sums.finish();
  CHECK_NOTHROW(sums.follow(tape));
}

}  // namespace
}  // namespace kindred
