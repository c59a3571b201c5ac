// The tape itself, with operations that are defined here. tests/gradcheck tests the gradients of real layers.
#include <doctest/doctest.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

namespace kindred {
namespace {

using Floats = std::vector<float>;

// A new Operation would need a case in the gradient registry, so an existing one is used.
const Operation& any_operation() {
  return *Operation::all().at(0);
}

Tensor leaf(const Floats& values, bool requires_grad = true) {
  Tensor tensor = Tensor::from(values, {static_cast<std::int64_t>(values.size())}, Device::cpu);
  return tensor.set_requires_grad(requires_grad);
}

// a * b, elementwise.
Tensor multiply(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty_like(a);
  const auto times = [](const Tensor& p, const Tensor& q, const Tensor& out) {
    for (std::int64_t i = 0; i < out.numel(); ++i)
      out.data<float>()[i] = p.data<float>()[i] * q.data<float>()[i];
  };
  times(a, b, y);
  if (Tape* tape = Tape::recording({&a, &b}))
    tape->record(any_operation(), {&a, &b}, {&y}, {a, b}, [times](BackwardStep& step) {
      const auto [left, right] = step.saved<2>();
      if (step.wants(0)) times(step.output_gradient(), right, step.input_gradient(0));
      if (step.wants(1)) times(step.output_gradient(), left, step.input_gradient(1));
    });
  return y;
}

// x itself. Its gradient is passed on without a copy.
Tensor pass_through(const Tensor& x) {
  Tensor y = x.to(x.device(), x.dtype());
  if (Tape* tape = Tape::recording({&x}))
    tape->record(any_operation(), {&x}, {&y}, {},
                 [](BackwardStep& step) { step.pass_gradient(0, step.output_gradient()); });
  return y;
}

// a + b. One gradient is passed on to both.
Tensor plus(const Tensor& a, const Tensor& b) {
  Tensor y = Tensor::empty_like(a);
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] = a.data<float>()[i] + b.data<float>()[i];
  if (Tape* tape = Tape::recording({&a, &b}))
    tape->record(any_operation(), {&a, &b}, {&y}, {}, [](BackwardStep& step) {
      for (const int input : {0, 1}) step.pass_gradient(input, step.output_gradient());
    });
  return y;
}

// 2x. Its backward kernel itself adds the earlier gradient of x.
Tensor twice(const Tensor& x) {
  Tensor y = Tensor::empty_like(x);
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] = 2 * x.data<float>()[i];
  if (Tape* tape = Tape::recording({&x}))
    tape->record(any_operation(), {&x}, {&y}, {}, [](BackwardStep& step) {
      const Tensor addend = step.take_addend(0);
      const Tensor dx = step.input_gradient(0);
      for (std::int64_t i = 0; i < dx.numel(); ++i)
        dx.data<float>()[i] =
            2 * step.output_gradient().data<float>()[i] + (addend.defined() ? addend.data<float>()[i] : 0);
    });
  return y;
}

// 3x. Its backward step counts the gradients that it gets, and adds them itself if `addition` says so.
Tensor thrice(const Tensor& x, Addition addition, int* gradients = nullptr) {
  Tensor y = Tensor::empty_like(x);
  for (std::int64_t i = 0; i < y.numel(); ++i) y.data<float>()[i] = 3 * x.data<float>()[i];
  const auto backward = [=](BackwardStep& step) {
    Tensor dy, more;
    if (addition == Addition::by_tape) {
      dy = step.output_gradient();
    } else {
      auto both = step.take_output_gradients();
      dy = std::move(both.first);
      more = std::move(both.second);
    }
    if (gradients) *gradients += dy.defined() + more.defined();
    const Tensor dx = step.input_gradient(0);
    for (std::int64_t i = 0; i < dx.numel(); ++i)
      dx.data<float>()[i] = 3 * (dy.data<float>()[i] + (more.defined() ? more.data<float>()[i] : 0));
  };
  if (Tape* tape = Tape::recording({&x})) tape->record(any_operation(), {&x}, {&y}, {}, backward, addition);
  return y;
}

Tensor random_leaf(std::int64_t elements, std::uint32_t key, bool requires_grad = true) {
  RandomStream random(61, Purpose::test, key);
  Floats values(static_cast<std::size_t>(elements));
  for (float& value : values) value = static_cast<float>(2 * random.uniform() - 1);
  return leaf(values, requires_grad);
}

TEST_CASE("tape: leaves get their gradients, by the chain rule") {
  const Tensor x = leaf({2, 3}), w = leaf({5, 7});
  Tape tape;
  const Tensor y = multiply(multiply(x, w), x);  // x^2 w
  CHECK(y.requires_grad());
  CHECK(tape.entries().size() == 2);
  tape.backward(y, leaf({1, 10}, false));
  CHECK(tape.gradient(x).to_vector<float>() == Floats{20, 420});  // 2 x w
  CHECK(tape.gradient(w).to_vector<float>() == Floats{4, 90});    // x^2
  CHECK(tape.entries().empty());
  CHECK_FALSE(tape.gradient(y).defined());
}

TEST_CASE("tape: a scalar needs no cotangent, anything else does") {
  const Tensor x = leaf({3}), long_x = leaf({3, 4});
  Tape tape;
  const Tensor y = multiply(x, x);
  tape.backward(y);
  CHECK(tape.gradient(x).to_vector<float>() == Floats{6});
  CHECK_THROWS_AS(tape.backward(multiply(long_x, long_x)), Error);
  CHECK_THROWS_AS(tape.backward(leaf({1}, false)), Error);
}

TEST_CASE("tape: nothing is recorded without a tape, under NoGrad, or without a wish for gradients") {
  const Tensor x = leaf({1}), constant = leaf({2}, false);
  CHECK_FALSE(multiply(x, x).requires_grad());
  Tape tape;
  {
    const NoGrad no_grad;
    CHECK_FALSE(multiply(x, x).requires_grad());
    {
      Tape inner;
      CHECK(multiply(x, x).requires_grad());
      CHECK(inner.entries().size() == 1);
    }
    CHECK_FALSE(multiply(x, x).requires_grad());
  }
  CHECK_FALSE(multiply(constant, constant).requires_grad());
  CHECK(tape.entries().empty());
  const Tensor y = multiply(x, constant);
  tape.backward(y);
  CHECK(tape.gradient(x).to_vector<float>() == Floats{2});
  CHECK_FALSE(tape.gradient(constant).defined());
}

TEST_CASE("tape: the tape of one thread is not that of another") {
  Tape tape;
  const Tensor x = leaf({1});
  std::atomic<bool> recorded{true};
  std::thread([&] { recorded = multiply(x, x).requires_grad(); }).join();
  CHECK_FALSE(recorded);
  CHECK(tape.entries().empty());
}

TEST_CASE("tape: entries carry the label of the layer that ran") {
  const Tensor x = leaf({1});
  Tape tape;
  const std::string outer_name = "layer1", inner_name = "layer1.conv";
  multiply(x, x);
  {
    const TapeLabel outer(outer_name);
    multiply(x, x);
    {
      const TapeLabel inner(inner_name);
      multiply(x, x);
    }
    multiply(x, x);
  }
  std::string labels;
  for (const Tape::Entry& entry : tape.entries()) labels += entry.label + ";";
  CHECK(labels == ";layer1;layer1.conv;layer1;");
}

TEST_CASE("tape: a tensor used several times gets the sum, however its gradients come about") {
  const Tensor x = leaf({3});
  {
    Tape tape;
    tape.backward(multiply(pass_through(x), x));
    CHECK(tape.gradient(x).to_vector<float>() == Floats{6});
  }
  {  // a and b share one gradient: adding to a's must not change b's
    Tape tape;
    const Tensor b = pass_through(x), a = pass_through(x);
    const Tensor square = multiply(a, a);
    tape.backward(plus(plus(a, b), square));  // 2 x + x^2
    CHECK(tape.gradient(x).to_vector<float>() == Floats{8});
  }
  {  // twice() runs last forward, so first backward: no addend. Then the reverse order
    Tape tape;
    const Tensor square = multiply(x, x);
    tape.backward(multiply(square, twice(x)));  // 2 x^3
    CHECK(tape.gradient(x).to_vector<float>() == Floats{54});
  }
  {
    Tape tape;
    const Tensor doubled = twice(x);
    tape.backward(multiply(multiply(x, x), doubled));
    CHECK(tape.gradient(x).to_vector<float>() == Floats{54});
  }
}

TEST_CASE("tape: gradient buffers are overwritten, or added to on request") {
  const Tensor x = leaf({3, 4}), w = leaf({5, 6});
  for (const bool accumulate : {false, true}) {
    const Tensor dx = Tensor::full({2}, 100, DType::f32, Device::cpu);
    Tape tape;
    tape.set_gradient_buffer(x, dx, accumulate);
    const Tensor y = multiply(multiply(x, w), x);
    tape.backward(y, leaf({1, 1}, false));
    const float base = accumulate ? 100 : 0;
    CHECK(dx.to_vector<float>() == Floats{base + 30, base + 48});
    CHECK(tape.gradient(x).raw() == dx.raw());
  }
  Tape tape;
  tape.set_gradient_buffer(x, Tensor::zeros({2}, DType::f32, Device::cpu));
  CHECK_FALSE(tape.gradient(x).defined());  // no gradient yet
  CHECK_THROWS_AS(tape.set_gradient_buffer(x, Tensor::zeros({3}, DType::f32, Device::cpu)), Error);
}

TEST_CASE("tape: a gradient passed on to a buffer, first or second, ends up in it") {
  const Tensor x = leaf({3});
  const Tensor dx = Tensor::full({1}, 100, DType::f32, Device::cpu);
  for (const bool first : {false, true}) {
    Tape tape;
    tape.set_gradient_buffer(x, dx);
    const Tensor a = first ? twice(x) : pass_through(x), b = first ? pass_through(x) : twice(x);
    tape.backward(multiply(a, b));  // 2 x^2
    CHECK(dx.to_vector<float>() == Floats{12});
  }
}

TEST_CASE("tape: what is not reached gets no gradient") {
  const Tensor x = leaf({3}), aside = leaf({4});
  Tape tape;
  const Tensor y = multiply(x, x);
  multiply(aside, aside);
  tape.backward(y);
  CHECK(tape.gradient(x).to_vector<float>() == Floats{6});
  CHECK_FALSE(tape.gradient(aside).defined());
}

TEST_CASE("tape: backward() that would leave every gradient at zero is an error that says why") {
  const auto message_of = [](Tape& tape, const Tensor& output) -> std::string {
    try {
      tape.backward(output);
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::internal);
      return error.what();
    }
    return "";
  };
  const Tensor x = leaf({3});
  const Tensor before = multiply(x, x);  // no tape yet
  const Tensor dx = Tensor::full({1}, 100, DType::f32, Device::cpu);
  Tape tape;
  tape.set_gradient_buffer(x, dx);
  CHECK(message_of(tape, Tensor()) == "backward() from an undefined tensor");
  CHECK(message_of(tape, before).starts_with("backward() from a tensor that depends on nothing recorded: "));
  CHECK(message_of(tape, multiply(x, x).reshape({1}))
            .starts_with("backward() from a tensor that depends on nothing"));
  {
    Tape other;
    const Tensor elsewhere = multiply(x, x);
    CHECK(
        message_of(tape, elsewhere).starts_with("backward() from a tensor that this tape has not recorded: "));
    CHECK(message_of(other, elsewhere).empty());
  }
  CHECK(dx.to_vector<float>() == Floats{100});  // no buffer was touched
  const Tensor y = multiply(x, x);
  CHECK(message_of(tape, y).empty());
  CHECK(dx.to_vector<float>() == Floats{6});
  CHECK(message_of(tape, y).starts_with(
      "backward() from a tensor that this tape has not recorded: "));  // the second time
  CHECK(dx.to_vector<float>() == Floats{6});
}

TEST_CASE("tape: saved tensors and gradients die as the walk passes them") {
  constexpr std::int64_t elements = 1 << 18;  // 1 MiB
  constexpr int depth = 16;
  MemoryPool& pool = memory_pool(Device::cpu);
  const auto megabytes = [&](std::size_t bytes) { return static_cast<int>(bytes >> 20); };
  Tape tape;
  Tensor y = Tensor::full({elements}, 1, DType::f32, Device::cpu).set_requires_grad();
  const Tensor x = y;
  const std::size_t before = pool.statistics().in_use;
  for (int i = 0; i < depth; ++i) y = multiply(y, y);
  CHECK(megabytes(pool.statistics().in_use - before) == depth);
  pool.reset_peak();
  const Tensor cotangent = Tensor::full({elements}, 1, DType::f32, Device::cpu);
  const Tensor last = std::exchange(y, Tensor());
  tape.backward(last, cotangent);
  // In use now: x's gradient, the cotangent and the last result. At the peak: all activations, and in the first
  // step the gradients of both uses and their sum.
  CHECK(megabytes(pool.statistics().in_use - before) == 3);
  CHECK(megabytes(pool.statistics().peak_in_use - before) <= depth + 4);
  CHECK(tape.gradient(x).to_vector<float>()[0] == 65536);
}

TEST_CASE(
    "tape: an operation that adds gets two gradients, any other one their sum, and the bits are the same") {
  constexpr std::int64_t elements = 37;
  const Tensor x = random_leaf(elements, 1), dy = random_leaf(elements, 2, false);
  for (const std::uint32_t uses : {1u, 2u, 3u, 5u}) {
    CAPTURE(uses);
    std::vector<Floats> products;  // the gradients, in the order of the walk
    std::vector<Tensor> factors;
    for (std::uint32_t k = 0; k < uses; ++k) {
      factors.push_back(random_leaf(elements, 10 + k, false));
      products.insert(products.begin(), multiply(dy, factors[k]).to_vector<float>());
    }
    Floats expected = products[0];
    for (std::uint32_t k = 1; k < uses; ++k)
      for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += products[k][i];
    for (float& value : expected) value *= 3;

    for (const Addition addition : {Addition::by_tape, Addition::by_operation}) {
      int gradients = 0;
      Tape tape;
      const Tensor y = thrice(x, addition, &gradients);
      Tensor sum = multiply(y, factors[0]);
      for (std::uint32_t k = 1; k < uses; ++k) sum = plus(sum, multiply(y, factors[k]));
      tape.backward(sum, dy);
      CHECK(tape.gradient(x).to_vector<float>() == expected);
      CHECK(gradients == (addition == Addition::by_tape || uses == 1 ? 1 : 2));
      CHECK_FALSE(tape.gradient(y).defined());
    }
  }
}

// Graphs drawn at random, in which operations add, pass on, take addends and add themselves; leaves have no buffers, empty
// ones or full ones.
TEST_CASE("tape: who adds changes no bit of a leaf's gradient, and not when its buffer is final") {
  constexpr std::int64_t elements = 5;
  int added_by_operations = 0;
  for (std::uint32_t graph = 0; graph < 60; ++graph) {
    CAPTURE(graph);
    const auto run = [&](Addition addition) {
      RandomStream random(62, Purpose::test, graph);
      const auto below = [&](std::size_t n) {
        return static_cast<std::size_t>(random.uniform() * static_cast<double>(n));
      };
      std::vector<Tensor> leaves, buffers;
      std::string finals;
      Tape tape;
      for (std::uint32_t k = 0; k < 3; ++k) {
        leaves.push_back(random_leaf(elements, 100 * graph + k));
        buffers.push_back(random_leaf(elements, 100 * graph + 50 + k, false));
        if (const std::size_t kind = below(3); kind > 0)
          tape.set_gradient_buffer(leaves[k], buffers[k], kind == 2);
      }
      std::vector<Tensor> made = leaves;
      int gradients = 0, operations = 0;
      for (int k = 0; k < 14; ++k) {
        const Tensor a = made[below(made.size())], b = made[below(made.size())];
        const std::size_t operation = below(5);
        operations += operation == 4;
        made.push_back(operation == 0   ? multiply(a, b)
                       : operation == 1 ? plus(a, b)
                       : operation == 2 ? pass_through(a)
                       : operation == 3 ? twice(a)
                                        : thrice(a, addition, &gradients));
      }
      Tensor sum = made[0];
      for (std::size_t k = 1; k < made.size(); ++k) sum = plus(made[k], sum);
      std::size_t entries = 0;
      tape.after_each_entry([&] { ++entries; });
      tape.when_gradient_is_final([&](std::uint64_t id) {
        for (std::size_t k = 0; k < leaves.size(); ++k)
          if (leaves[k].id() == id) finals += std::to_string(k) + "@" + std::to_string(entries) + " ";
      });
      tape.backward(sum, random_leaf(elements, 100 * graph + 99, false));
      if (addition == Addition::by_operation) added_by_operations += gradients - operations;
      std::vector<Floats> results;
      for (const Tensor& tensor : leaves)
        results.push_back(tape.gradient(tensor).defined() ? tape.gradient(tensor).to_vector<float>()
                                                          : Floats());
      for (const Tensor& buffer : buffers) results.push_back(buffer.to_vector<float>());
      return std::pair(results, finals);
    };
    const auto by_tape = run(Addition::by_tape), by_operation = run(Addition::by_operation);
    CHECK(by_operation.first == by_tape.first);
    CHECK(by_operation.second == by_tape.second);
  }
  CHECK(added_by_operations > 60);
}

TEST_CASE("tape: a kernel can leave an addition to the operation that made its input") {
  const Tensor x = leaf({3}), w = leaf({5}, false);
  // x itself; what its backward step was told.
  const auto ask = [](const Tensor& of, bool& answer) {
    Tensor y = of.to(of.device(), of.dtype());
    Tape::recording({&of})->record(any_operation(), {&of}, {&y}, {}, [&answer](BackwardStep& step) {
      answer = step.is_added_by_maker(0);
      step.pass_gradient(0, step.output_gradient());
    });
    return y;
  };
  for (const Addition addition : {Addition::by_tape, Addition::by_operation}) {
    bool of_made = false, of_leaf = true;
    int gradients = 0;
    Tape tape;
    const Tensor y = thrice(x, addition, &gradients);
    const Tensor asked = plus(ask(y, of_made), ask(x, of_leaf));
    tape.backward(plus(asked, multiply(y, w)));  // 3 x + x + 15 x
    CHECK(of_made == (addition == Addition::by_operation));
    CHECK_FALSE(of_leaf);
    CHECK(gradients == (addition == Addition::by_operation ? 2 : 1));
    CHECK(tape.gradient(x).to_vector<float>() == Floats{19});
  }
  {  // one that takes the addend gets the sum of two that wait
    Tape tape;
    int gradients = 0;
    const Tensor y = thrice(x, Addition::by_operation, &gradients);
    const Tensor doubled = twice(y);
    tape.backward(plus(plus(multiply(y, w), multiply(y, w)), doubled));  // 3 (5 + 5 + 2) x
    CHECK(tape.gradient(x).to_vector<float>() == Floats{36});
    CHECK(gradients == 1);
  }
}

TEST_CASE("tape: an operation that adds must take both gradients") {
  const Tensor x = leaf({3});
  Tape tape;
  Tensor y = leaf({3});
  tape.record(
      any_operation(), {&x}, {&y}, {},
      [](BackwardStep& step) { step.pass_gradient(0, step.output_gradient()); }, Addition::by_operation);
  CHECK_THROWS_AS(tape.backward(plus(y, y)), Error);
}

TEST_CASE("tape: what another tape made is a leaf, whoever adds there") {
  const Tensor x = leaf({3}), w = leaf({5}, false), v = leaf({7}, false);
  Tape outer;
  const Tensor y = thrice(x, Addition::by_operation);
  Tensor dy;
  {
    Tape inner;
    inner.backward(plus(multiply(y, w), multiply(y, v)));
    dy = inner.gradient(y);
  }
  CHECK(dy.to_vector<float>() == Floats{12});
  outer.backward(y, dy);
  CHECK(outer.gradient(x).to_vector<float>() == Floats{36});
}

TEST_CASE("tape: a second gradient that waits lives no longer than the first") {
  constexpr std::int64_t elements = 1 << 18;  // 1 MiB
  MemoryPool& pool = memory_pool(Device::cpu);
  const auto all = [](float value) { return Tensor::full({elements}, value, DType::f32, Device::cpu); };
  const Tensor x = all(1).set_requires_grad(), w = all(2), v = all(4), dy = all(1);
  for (const Addition addition : {Addition::by_tape, Addition::by_operation}) {
    const std::size_t before = pool.statistics().in_use;
    const auto megabytes = [&](std::size_t bytes) { return static_cast<int>((bytes - before) >> 20); };
    std::vector<int> in_use;  // after each entry
    Tape tape;
    Tensor y = thrice(x, addition);
    const Tensor sum = plus(multiply(y, w), multiply(y, v));
    y = Tensor();
    tape.after_each_entry([&] { in_use.push_back(megabytes(pool.statistics().in_use)); });
    pool.reset_peak();
    tape.backward(sum, dy);
    CHECK(tape.gradient(x).to_vector<float>()[0] == 18);
    // `sum` and y; the first gradient; the second one, which waits or has been added; `sum` and dx.
    const bool waits = addition == Addition::by_operation;
    CHECK(in_use == std::vector<int>{2, 3, waits ? 4 : 3, 2});
    CHECK(megabytes(pool.statistics().peak_in_use) ==
          (waits ? 4 : 5));  // an addition needs both and room for the sum
  }
}

}  // namespace
}  // namespace kindred
