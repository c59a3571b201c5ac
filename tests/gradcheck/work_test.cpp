// Every differentiable operation reports its work on a GPU (engine/kernels/work.h): without a count the
// prediction would see no cost for a layer.
#include "gradcheck.h"

#include <kindred/engine/kernels/work.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <set>

namespace kindred::gradcheck {
namespace {

// What a GPU must read and write at least, with any kernels: each operand once.
struct Least {
  std::int64_t read = 0, written = 0;
};

struct Counted {
  std::int64_t read = 0, written = 0, launches = 0;
  double operations = 0;
};

Counted sum_of(const std::vector<WorkLog::Entry>& entries, bool backward) {
  Counted sum;
  for (const WorkLog::Entry& entry : entries) {
    if (entry.backward != backward) continue;
    sum.read += entry.work.read;
    sum.written += entry.work.written;
    sum.launches += entry.work.launches;
    sum.operations += entry.work.operations;
  }
  return sum;
}

// These pass gradients on unchanged. The tape adds two gradients of one tensor.
bool passes_gradients(const std::string& operation) {
  return operation == "add" || operation == "concatenate";
}

// A window that is smaller than its stride does not read all of its image.
bool may_skip_inputs(const Case& test_case) {
  return test_case.operation == "conv2d" && test_case.inputs[1].shape[1] <= 2;
}

// Runs the case on device `plan`. Returns what is wrong, or an empty text if its work is counted, or nullopt if
// the case has more than one operation.
std::optional<std::string> complaint_about(const Case& test_case, DType compute) {
  std::vector<Tensor> used;
  Least forward, backward;
  for (const Input& input : test_case.inputs) {
    Tensor tensor = Tensor::empty(input.shape, input.role == Role::master ? DType::f32 : compute, Device::plan);
    forward.read += bytes_of({tensor});
    if (input.role == Role::weight && compute != DType::f32)
      tensor.stand_for(Tensor::empty(input.shape, DType::f32, Device::plan).set_requires_grad());
    tensor.set_requires_grad(input.role != Role::constant);
    if (tensor.requires_grad())
      backward.written += tensor.numel() * static_cast<std::int64_t>(size_of(tensor.gradient_dtype()));
    used.push_back(tensor);
  }
  WorkLog log;
  Tape tape;
  const Tensor result = test_case.function(used);
  if (tape.entries().size() != 1) return std::nullopt;
  forward.written = bytes_of({result});
  backward.read = bytes_of({result});
  tape.backward(result, Tensor::empty_like(result));

  const Counted there = sum_of(log.entries(), false), back = sum_of(log.entries(), true);
  if (there.launches < 1) return "nothing is launched forward";
  if (there.read < forward.read && !may_skip_inputs(test_case)) return "its inputs are not all read";
  if (there.written < forward.written) return "its result is not all written";
  if (passes_gradients(test_case.operation))
    return test_case.inputs.size() == 1 || back.launches == 0
               ? ""
               : "it hands gradients on, and yet launches something";
  if (back.launches < 1) return "nothing is launched backward";
  if (back.read < backward.read) return "its result's gradient is not all read";
  if (back.written < backward.written) return "its inputs' gradients are not all written";
  return "";
}

// Counts as on a GPU, where convolutions are counted that the CPU does not count.
struct OnGpu {
  OnGpu() { set_planned_device(Device::cuda); }
  ~OnGpu() { set_planned_device(Device::cpu); }
};

TEST_CASE("work: every differentiable operation is counted, forward and backward") {
  const OnGpu on_gpu;
  std::set<std::string> counted;
  for (const Case& test_case : all_cases())
    for (const DType compute : {DType::f32, DType::bf16}) {
      if (compute == DType::bf16 && !test_case.bf16) continue;
      const auto complaint = complaint_about(test_case, compute);
      if (!complaint) continue;
      CAPTURE(test_case.operation);
      CAPTURE(test_case.variant);
      CHECK(*complaint == "");
      counted.insert(test_case.operation);
    }
  std::size_t operations = 0;
  for (const Operation* operation : Operation::all()) {
    const std::string name = operation->name();
    if (name.ends_with("(test)")) continue;
    CAPTURE(name);
    CHECK(counted.contains(name));
    ++operations;
  }
  CHECK(operations >= 10);
}

// The check above finds an operation that counts nothing, or half.
TEST_CASE("work: an operation that counts nothing, or half, is found") {
  static const Operation operation("uncounted (test)");
  static const WorkKind* const kind = WorkKind::all().front();
  const auto made_of = [](double forward, double backward) {
    return Case{.operation = "uncounted (test)",
                .variant = "",
                .inputs = {uniform({8, 8})},
                .function = [=](const std::vector<Tensor>& in) {
                  const auto count = [](const Tensor& from, const Tensor& to, double share) {
                    if (share == 0) return;
                    const auto part = [&](const Tensor& t) {
                      return static_cast<std::int64_t>(share * static_cast<double>(bytes_of({t})));
                    };
                    record_work(*kind, {.read = part(from), .written = part(to)});
                  };
                  Tensor y = Tensor::empty_like(in[0]);
                  count(in[0], y, forward);
                  if (Tape* tape = Tape::recording({&in[0]}))
                    tape->record(operation, {&in[0]}, {&y}, {}, [=](BackwardStep& step) {
                      count(step.output_gradient(), step.input_gradient(0), backward);
                    });
                  return y;
                }};
  };
  const auto complaint = [&](double forward, double backward) {
    return complaint_about(made_of(forward, backward), DType::f32).value();
  };
  CHECK(complaint(1, 1) == "");
  CHECK(complaint(0, 1) == "nothing is launched forward");
  CHECK(complaint(1, 0) == "nothing is launched backward");
  CHECK(complaint(0.5, 1) == "its inputs are not all read");
  CHECK(complaint(1, 0.5) == "its result's gradient is not all read");
}

TEST_CASE("work: convolutions and products are counted by their formula, in bytes of their types") {
  const OnGpu on_gpu;
  const auto logged = [](const std::string& operation, const std::string& variant, DType compute) {
    for (const Case& test_case : all_cases()) {
      if (test_case.operation != operation || test_case.variant != variant) continue;
      std::vector<Tensor> used;
      for (const Input& input : test_case.inputs) {
        const DType type = input.role == Role::master ? DType::f32 : compute;
        Tensor tensor = Tensor::empty(input.shape, type, Device::plan);
        if (input.role == Role::weight && compute != DType::f32)
          tensor.stand_for(Tensor::empty(input.shape, DType::f32, Device::plan).set_requires_grad());
        used.push_back(tensor.set_requires_grad());
      }
      WorkLog log;
      Tape tape;
      const Tensor result = test_case.function(used);
      tape.backward(result, Tensor::empty_like(result));
      return log.entries();
    }
    FAIL("no such case");
    return std::vector<WorkLog::Entry>();
  };
  const auto work_of = [](const std::vector<WorkLog::Entry>& entries, const std::string& kind) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const WorkLog::Entry& entry) { return entry.kind->name() == kind; });
    REQUIRE(found != entries.end());
    return found->work;
  };

  // x [2, 8, 8, 64], filters [64, 3, 3, 64], y as x: 2 * N*OH*OW*K*C*KH*KW operations.
  const double operations = 2.0 * 2 * 8 * 8 * 64 * 64 * 3 * 3;
  const std::int64_t image = 2 * 8 * 8 * 64, filters = 64 * 3 * 3 * 64;
  const auto f32 = logged("conv2d", "2x8x8x64 -> 64, 3x3, stride 1, pad 1", DType::f32);
  const auto bf16 = logged("conv2d", "2x8x8x64 -> 64, 3x3, stride 1, pad 1", DType::bf16);
  CHECK(work_of(f32, "conv2d.forward.3x3").read == 4 * (image + filters));
  CHECK(work_of(f32, "conv2d.forward.3x3").written == 4 * image);
  CHECK(work_of(bf16, "conv2d.forward.3x3").read == 2 * (image + filters));
  CHECK(work_of(bf16, "conv2d.data.3x3").written == 2 * image);
  CHECK(work_of(bf16, "conv2d.filter.3x3").read == 2 * 2 * image);
  // Gradients of 16-bit filters are computed in 16 bits and converted; gradients in f32 are written directly.
  CHECK(work_of(bf16, "conv2d.filter.3x3").written == 2 * filters);
  CHECK(work_of(bf16, "conv2d.repack").written == 4 * filters);
  CHECK(work_of(f32, "conv2d.filter.3x3").written == 4 * filters);
  for (const char* kind : {"conv2d.forward.3x3", "conv2d.data.3x3", "conv2d.filter.3x3"}) {
    CHECK(work_of(f32, kind).operations == operations);
    CHECK(work_of(bf16, kind).operations == operations);
    CHECK(work_of(bf16, kind).factors == DType::bf16);
  }
  // A 1x1 window with a stride of 2 reads a quarter of the pixels.
  const auto strided = logged("conv2d", "2x16x16x16 -> 32, 1x1, stride 2, pad 0", DType::f32);
  CHECK(work_of(strided, "conv2d.forward.strided").read == 4 * (2 * 8 * 8 * 16 + 32 * 16));
  CHECK(work_of(strided, "conv2d.data.strided").written == 4 * 2 * 16 * 16 * 16);
  // A stem's three colours are padded to eight channels in 16 bits.
  const auto stem = logged("conv2d", "3x32x32x3 -> 16, 3x3, stride 1, pad 1", DType::bf16);
  CHECK(work_of(stem, "conv2d.repack").written == 2 * 3 * 32 * 32 * 8);
  CHECK(work_of(stem, "conv2d.forward.stem").read == 2 * 8 * (3 * 32 * 32 + 16 * 3 * 3));
  CHECK(work_of(stem, "conv2d.forward.stem").operations == 2.0 * 3 * 32 * 32 * 16 * 3 * 3 * 3);

  const auto linear = logged("linear", "odd sizes", DType::bf16);  // [67, 129] x [31, 129]
  for (const char* kind : {"linear.forward", "linear.data", "linear.weight"})
    CHECK(work_of(linear, kind).operations == 2.0 * 67 * 129 * 31);
  CHECK(work_of(linear, "linear.weight").written == 4 * (31 * 129 + 31));
}

}  // namespace
}  // namespace kindred::gradcheck
