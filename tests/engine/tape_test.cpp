// The tape itself, with operations that are defined here. tests/gradcheck tests the gradients of real layers.
#include <doctest/doctest.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/memory.h>
#include <kindred/engine/tape.h>

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

}  // namespace
}  // namespace kindred
