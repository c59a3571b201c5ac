// Blocks whose results go two ways, into the next block and around it: their gradients against a composition by hand,
// how many additions of their own they cost, and the same for statistics over micro-batches and processes.
#include "../../engine/communicator/threads.h"
#include "../../gradcheck/gradcheck.h"

#include <kindred/engine/communicator/communicator.h>
#include <kindred/engine/kernels/work.h>
#include <kindred/engine/random/philox.h>
#include <kindred/engine/tape.h>
#include <kindred/layers/batch_norm/batch_norm.h>
#include <kindred/layers/batch_norm/kernels.h>
#include <kindred/layers/batch_norm/shared_statistics.h>
#include <kindred/layers/batch_norm/whole_batch.h>
#include <kindred/layers/conv2d/conv2d.h>
#include <kindred/layers/conv2d/kernels.h>
#include <kindred/layers/linear/linear.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace kindred {
namespace {

using gradcheck::relative_difference;
using Values = std::vector<double>;

Tensor draw(const Shape& shape, std::uint32_t key, Device device, DType dtype, double low = -1,
            double high = 1) {
  RandomStream random(93, Purpose::test, key);
  Values values(static_cast<std::size_t>(shape.numel()));
  for (double& value : values) value = low + (high - low) * random.uniform();
  return Tensor::from(values, shape, Device::reference).to(device, dtype);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// A basic block of a ResNet: relu(norm(conv(relu(norm(conv(x))))) + x).
struct Block {
  struct Layer {
    Tensor filters, scale, bias;
  };
  Layer first, second;

  Block(std::int64_t channels, std::int64_t kernel, std::uint32_t key, Device device, DType dtype)
      : first(layer(channels, kernel, key, device, dtype)),
        second(layer(channels, 3, key + 3, device, dtype)) {}

  static Layer layer(std::int64_t channels, std::int64_t kernel, std::uint32_t key, Device device,
                     DType dtype) {
    return {draw({channels, kernel, kernel, channels}, key, device, dtype).set_requires_grad(),
            draw({channels}, key + 1, device, DType::f32, 0.5, 1.5).set_requires_grad(),
            draw({channels}, key + 2, device, DType::f32).set_requires_grad()};
  }
  static Conv2dOptions options(const Layer& of) { return {.stride = 1, .padding = of.filters.dim(1) / 2}; }

  Tensor operator()(const Tensor& x) const {
    const Tensor inner = batch_norm({.x = conv2d(x, first.filters, options(first)),
                                     .scale = first.scale,
                                     .bias = first.bias,
                                     .relu = true});
    return batch_norm({.x = conv2d(inner, second.filters, options(second)),
                       .scale = second.scale,
                       .bias = second.bias,
                       .residual = x,
                       .relu = true});
  }
};

// The same by hand, with kernels that get one gradient, and the convolution's that adds an addend.
class ByHand {
 public:
  explicit ByHand(const Block& block) : block_(block) {}

  Tensor forward(const Tensor& x) {
    inner_ = forward(block_.first, x, {}, saved_[0]);
    return forward(block_.second, inner_, x, saved_[1]);
  }
  // Filters, scale and bias of both layers, last layer first, are appended to `gradients`. Returns dx.
  Tensor backward(const Tensor& dy, std::vector<Tensor>& gradients) const {
    const Tensor d_shortcut = Tensor::empty_like(dy);
    const Tensor d_inner = backward(block_.second, saved_[1], dy, {}, d_shortcut, gradients);
    return backward(block_.first, saved_[0], d_inner, d_shortcut, {}, gradients);
  }

 private:
  struct Saved {
    Tensor x, product, mean, inv_std, mask;
    ConvShape shape;
  };

  static Tensor forward(const Block::Layer& layer, const Tensor& x, const Tensor& residual, Saved& saved) {
    const BatchNormKernels& kernels = batch_norm_kernels(x.device());
    const Tensor& w = layer.filters;
    saved.x = x;
    saved.shape = {.n = x.dim(0),
                   .h = x.dim(1),
                   .w = x.dim(2),
                   .c = x.dim(3),
                   .k = w.dim(0),
                   .kh = w.dim(1),
                   .kw = w.dim(2),
                   .stride = 1,
                   .pad = w.dim(1) / 2,
                   .out_h = x.dim(1),
                   .out_w = x.dim(2)};
    saved.product = Tensor::empty_like(x);
    conv2d_kernels(x.device()).forward(saved.shape, x, w, Output(saved.product));
    const Tensor variance = Tensor::empty_like(layer.scale);
    saved.mean = Tensor::empty_like(layer.scale);
    saved.inv_std = Tensor::empty_like(layer.scale);
    kernels.statistics(saved.product, Output(saved.mean), Output(variance));
    kernels.finish_statistics(saved.mean, variance, batch_norm_epsilon, 0, x.numel() / x.dim(3),
                              Output(saved.inv_std), {}, {});
    saved.mask = Tensor::empty({mask_bytes(x.numel())}, DType::u8, x.device());
    const Tensor y = Tensor::empty_like(x);
    kernels.apply(saved.product, {saved.mean, saved.inv_std, layer.scale, layer.bias}, residual, true,
                  Output(saved.mask), Output(y));
    return y;
  }

  static Tensor backward(const Block::Layer& layer, const Saved& saved, const Tensor& dy, const Tensor& addend,
                         const Tensor& d_residual, std::vector<Tensor>& gradients) {
    const BatchNormKernels& kernels = batch_norm_kernels(dy.device());
    const BatchNormChannels channels{saved.mean, saved.inv_std, layer.scale};
    const Tensor d_scale = Tensor::empty_like(layer.scale), d_bias = Tensor::empty_like(layer.scale);
    const Tensor d_product = Tensor::empty_like(dy), dx = Tensor::empty_like(dy),
                 dw = Tensor::empty_like(layer.filters);
    kernels.reduce(dy, {}, saved.mask, saved.product, channels, Output(d_scale), Output(d_bias), {});
    kernels.apply_backward(dy, saved.mask, saved.product, channels, {d_scale, d_bias, dy.numel() / dy.dim(3)},
                           Output(d_product), Output(d_residual));
    conv2d_kernels(dy.device()).backward_weight(saved.shape, saved.x, d_product, Output(dw));
    conv2d_kernels(dy.device()).backward_data(saved.shape, d_product, layer.filters, addend, Output(dx));
    gradients.insert(gradients.end(), {dw, d_scale, d_bias});
    return dx;
  }

  const Block& block_;
  Tensor inner_;
  Saved saved_[2];
};

TEST_CASE("shortcuts: the gradients of ResNet blocks have the bits of a composition by hand") {
  struct Setting {
    Device device;
    DType dtype;
    std::int64_t channels, kernel;
  };
  const Setting settings[] = {{Device::reference, DType::f32, 5, 3}, {Device::cpu, DType::f32, 16, 3},
                              {Device::cpu, DType::f32, 16, 1},      {Device::cpu, DType::f32, 72, 3},
                              {Device::cpu, DType::f32, 72, 1},      {Device::cpu, DType::f32, 5, 3},
                              {Device::cpu, DType::bf16, 16, 3},     {Device::cpu, DType::bf16, 24, 1}};
  for (const Setting& s : settings) {
    CAPTURE(name(s.device));
    CAPTURE(name(s.dtype));
    CAPTURE(s.channels);
    CAPTURE(s.kernel);
    std::vector<Block> blocks;
    for (std::uint32_t k = 0; k < 3; ++k) blocks.emplace_back(s.channels, s.kernel, 10 * k, s.device, s.dtype);
    const Shape images{3, 9, 7, s.channels};
    const Tensor x = draw(images, 50, s.device, s.dtype).set_requires_grad();
    const Tensor dy = draw(images, 51, s.device, s.dtype);

    Tape tape;
    Tensor y = x;
    for (const Block& block : blocks) y = block(y);
    tape.backward(y, dy);

    std::vector<ByHand> by_hand(blocks.begin(), blocks.end());
    Tensor expected_y = x, dx = dy;
    for (ByHand& block : by_hand) expected_y = block.forward(expected_y);
    CHECK(same_bits(y, expected_y));
    for (std::size_t k = blocks.size(); k-- > 0;) {
      CAPTURE(k);
      std::vector<Tensor> gradients;
      dx = by_hand[k].backward(dx, gradients);
      const Block& block = blocks[k];
      const Tensor parameters[] = {block.second.filters, block.second.scale, block.second.bias,
                                   block.first.filters,  block.first.scale,  block.first.bias};
      for (std::size_t p = 0; p < gradients.size(); ++p) {
        CAPTURE(p);
        CHECK(same_bits(tape.gradient(parameters[p]), gradients[p]));
      }
    }
    CHECK(same_bits(tape.gradient(x), dx));
    double largest = 0;
    for (const double value : dx.to_vector<double>()) largest = std::max(largest, std::abs(value));
    CHECK(largest > 1e-3);
  }
}

// On device `plan`, which writes down every kernel. Linear layers stand for convolutions: they take no addend.
struct CountedBlocks {
  const Shape wide{64, 32}, narrow{64, 8};  // rows, channels

  static Tensor empty(const Shape& shape) { return Tensor::empty(shape, DType::f32, Device::plan); }
  static Tensor parameter(const Shape& shape) { return empty(shape).set_requires_grad(); }
  static Tensor norm(const Tensor& x, const Tensor& residual, bool relu) {
    const Shape channels{x.shape().back()};
    return batch_norm({.x = x,
                       .scale = parameter(channels),
                       .bias = parameter(channels),
                       .residual = residual,
                       .relu = relu});
  }
  static Tensor product(const Tensor& x, std::int64_t out) {
    return linear(x, parameter({out, x.shape().back()}), Tensor());
  }

  // With a projection the shortcut is a product and a norm of its own.
  Tensor block(const Tensor& x, bool projects) const {
    const Tensor shortcut = projects ? norm(product(x, wide[1]), {}, false) : x;
    const Tensor inner = norm(product(x, narrow[1]), {}, true);
    return norm(product(inner, wide[1]), shortcut, true);
  }
};

std::vector<Work> work_of_kind(const WorkLog& log, std::string_view kind) {
  std::vector<Work> found;
  for (const WorkLog::Entry& entry : log.entries())
    if (entry.backward && entry.kind->name() == kind) found.push_back(entry.work);
  return found;
}

TEST_CASE("shortcuts: the gradients of blocks are added by their norms, without an addition of its own") {
  const CountedBlocks net;
  WorkLog log;
  Tape tape;
  Tensor y = CountedBlocks::norm(CountedBlocks::product(CountedBlocks::empty(net.wide), net.wide[1]), {}, true);
  for (const bool projects : {true, false, false, true, false}) y = net.block(y, projects);
  tape.backward(y, CountedBlocks::empty(net.wide));
  CHECK(work_of_kind(log, "add").empty());

  // Each of the five blocks gives its input two gradients. The norm there reads one more, and writes their sum; the last
  // norm writes the masked gradient of its shortcut.
  const std::int64_t wide = 4 * net.wide.numel(), narrow = 4 * net.narrow.numel();
  std::int64_t read = 0, written = 0;
  for (const Work& work : work_of_kind(log, "batch_norm.reduce")) {
    read += work.read;
    written += work.written;
  }
  CHECK(work_of_kind(log, "batch_norm.reduce").size() == 13);
  const auto of_channels = [](std::int64_t bytes) { return 2 * bytes / 64; };  // mean and inv_std
  const auto mask = [](std::int64_t bytes) { return bytes / 32; };
  // With a mask: six wide norms and five narrow ones. Without: two norms of shortcuts.
  // The last block of a kernel reads the sums of all, and writes two gradients of each channel.
  const auto partial = [](std::int64_t bytes) { return 16 * (bytes / 4); };  // see batch_norm/plan.cpp
  const std::int64_t sums = 8 * partial(wide) + 5 * partial(narrow);
  const std::int64_t channels = 8 * of_channels(wide) + 5 * of_channels(narrow);
  CHECK(read == 6 * (2 * wide + mask(wide)) + 5 * (2 * narrow + mask(narrow)) + 2 * 2 * wide + 5 * wide + sums +
                    channels);
  CHECK(written == 6 * wide + sums + channels);

  // Who uses a result three times needs one addition; a leaf that is used twice, too.
  WorkLog more;
  Tape second;
  const Tensor x = CountedBlocks::parameter(net.wide);
  const Tensor shared = CountedBlocks::norm(x, {}, true);
  const Tensor end =
      CountedBlocks::norm(CountedBlocks::product(shared, net.wide[1]), net.block(shared, false), true);
  second.backward(end, CountedBlocks::empty(net.wide));
  CHECK(work_of_kind(more, "add").size() == 1);
  Tape third;
  third.backward(net.block(x, false), CountedBlocks::empty(net.wide));
  CHECK(work_of_kind(more, "add").size() == 2);
}

// a * b, where only a gets a gradient.
Tensor times(const Tensor& a, const Tensor& b) {
  const auto product = [](const Tensor& p, const Tensor& q, const Tensor& out) {
    for (std::int64_t i = 0; i < out.numel(); ++i)
      out.data<double>()[i] = p.data<double>()[i] * q.data<double>()[i];
  };
  Tensor y = Tensor::empty_like(a);
  product(a, b, y);
  if (Tape* tape = Tape::recording({&a}))
    tape->record(*Operation::all().front(), {&a}, {&y}, {b}, [product](BackwardStep& step) {
      product(step.output_gradient(), step.saved<1>()[0], step.input_gradient(0));
    });
  return y;
}

// Two norms, of which the first one's result is used twice.
struct Segment {
  static constexpr Device device = Device::reference;
  static constexpr DType dtype = DType::f64;
  const Shape shape{12, 3, 2, 5}, channels{5};
  const Tensor x = draw(shape, 61, device, dtype, -1, 2), w = draw(shape, 62, device, dtype),
               dy = draw(shape, 63, device, dtype);
  const std::vector<Tensor> parameters{draw(channels, 64, device, dtype, 0.5, 1.5).set_requires_grad(),
                                       draw(channels, 65, device, dtype).set_requires_grad(),
                                       draw(channels, 66, device, dtype, 0.5, 1.5).set_requires_grad(),
                                       draw(channels, 67, device, dtype).set_requires_grad()};

  Tensor operator()(const Tensor& part, const Tensor& weights) const {
    const Tensor inner = batch_norm({.x = part, .scale = parameters[0], .bias = parameters[1], .relu = true});
    return batch_norm({.x = times(inner, weights),
                       .scale = parameters[2],
                       .bias = parameters[3],
                       .residual = inner,
                       .relu = true});
  }

  struct Gradients {
    Values dx, of_parameters;
  };
  // Of some rows.
  Gradients gradients(std::int64_t first, std::int64_t last) const {
    const Tensor part = x.rows(first, last).to(device, dtype).set_requires_grad();
    Tape tape;
    tape.backward((*this)(part, w.rows(first, last)), dy.rows(first, last));
    Gradients found{tape.gradient(part).to_vector<double>(), {}};
    for (const Tensor& parameter : parameters) {
      const Values more = tape.gradient(parameter).to_vector<double>();
      found.of_parameters.insert(found.of_parameters.end(), more.begin(), more.end());
    }
    return found;
  }
  // The parts of a batch, one after the other, must give its gradients.
  static void check_parts(const std::vector<Gradients>& parts, const Gradients& whole) {
    Gradients joined = parts[0];
    for (std::size_t k = 1; k < parts.size(); ++k) {
      joined.dx.insert(joined.dx.end(), parts[k].dx.begin(), parts[k].dx.end());
      for (std::size_t i = 0; i < joined.of_parameters.size(); ++i)
        joined.of_parameters[i] += parts[k].of_parameters[i];
    }
    CHECK(relative_difference(joined.dx, whole.dx) < 1e-11);
    CHECK(relative_difference(joined.of_parameters, whole.of_parameters) < 1e-11);
  }
};

TEST_CASE("shortcuts: micro-batches with the whole batch's statistics have its gradients") {
  const Segment segment;
  const Segment::Gradients whole = segment.gradients(0, 12);
  for (const int count : {1, 2, 3, 12}) {
    CAPTURE(count);
    const std::int64_t rows = 12 / count;
    WholeBatchNorms norms(count);
    int waited = 0;
    const auto until_none_waits = [&](const auto& run) {
      for (bool waits = true; waits;) {
        waits = false;
        for (int k = 0; k < count; ++k) {
          const WholeBatchNorms::MicroBatch micro_batch(norms, k);
          try {
            run(k * rows, (k + 1) * rows);
          } catch (const WholeBatchNorms::Waiting&) {
            waits = true;
            ++waited;
          }
        }
      }
    };
    until_none_waits([&](std::int64_t first, std::int64_t last) {
      const NoGrad no_grad;
      segment(segment.x.rows(first, last), segment.w.rows(first, last));
    });
    CHECK_FALSE(norms.gradients_known());
    waited = 0;
    until_none_waits([&](std::int64_t first, std::int64_t last) { segment.gradients(first, last); });
    CHECK(norms.gradients_known());
    CHECK(waited == 2 * (count - 1));  // both norms, for all but the last micro-batch
    std::vector<Segment::Gradients> parts;
    for (int k = 0; k < count; ++k) {
      const WholeBatchNorms::MicroBatch micro_batch(norms, k);
      parts.push_back(segment.gradients(k * rows, (k + 1) * rows));
    }
    Segment::check_parts(parts, whole);
  }
}

TEST_CASE("shortcuts: processes that share statistics have the whole batch's gradients") {
  const Segment segment;
  const Segment::Gradients whole = segment.gradients(0, 12);
  for (const int size : {2, 4}) {
    CAPTURE(size);
    std::vector<Segment::Gradients> parts(static_cast<std::size_t>(size));
    test::run_processes(size, [&](const Communicator& processes) {
      const SharedStatistics shared(processes);
      const std::int64_t rows = 12 / size, first = processes.rank() * rows;
      parts[static_cast<std::size_t>(processes.rank())] = segment.gradients(first, first + rows);
    });
    Segment::check_parts(parts, whole);
  }
}

}  // namespace
}  // namespace kindred
