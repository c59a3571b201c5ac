#include "gradcheck.h"

#include <kindred/engine/kernels/accumulate.h>
#include <kindred/layers/conv2d/conv2d.h>

namespace kindred::gradcheck {
namespace {

struct Geometry {
  std::int64_t n, h, w, c, k, kh, kw, stride, pad;
};

Case conv_case(const Geometry& g, bool small) {
  const Conv2dOptions options{g.stride, g.pad};
  return {.operation = "conv2d",
          .variant = fmt::format("{}x{}x{}x{} -> {}, {}x{}, stride {}, pad {}", g.n, g.h, g.w, g.c, g.k, g.kh,
                                 g.kw, g.stride, g.pad),
          .inputs = {uniform({g.n, g.h, g.w, g.c}), uniform({g.k, g.kh, g.kw, g.c}, Role::weight)},
          .function = [options](const std::vector<Tensor>& in) { return conv2d(in[0], in[1], options); },
          .central_differences = small};
}

// The shapes of ResNets (3x3 and 1x1, stride 1 and 2, the 7x7 stem), odd sizes, and windows that the stride
// does not divide. Channel counts of 16 and more reach the vectorised kernels.
const bool added[] = {
    add_case(conv_case({2, 5, 4, 3, 2, 3, 3, 1, 1}, true)),
    add_case(conv_case({1, 6, 5, 2, 3, 3, 3, 2, 1}, true)),
    add_case(conv_case({2, 4, 4, 3, 4, 1, 1, 2, 0}, true)),
    add_case(conv_case({1, 7, 7, 1, 2, 5, 3, 2, 2}, true)),
    add_case(conv_case({1, 3, 3, 2, 2, 3, 3, 1, 0}, true)),
    add_case(conv_case({2, 33, 31, 3, 16, 7, 7, 2, 3}, false)),
    add_case(conv_case({3, 32, 32, 3, 16, 3, 3, 1, 1}, false)),
    add_case(conv_case({5, 9, 7, 16, 16, 3, 3, 1, 1}, false)),
    add_case(conv_case({3, 16, 16, 16, 32, 3, 3, 2, 1}, false)),
    add_case(conv_case({3, 15, 13, 16, 32, 3, 3, 2, 1}, false)),
    add_case(conv_case({2, 16, 16, 32, 32, 3, 3, 1, 1}, false)),
    add_case(conv_case({2, 8, 8, 64, 64, 3, 3, 1, 1}, false)),
    add_case(conv_case({3, 6, 11, 48, 16, 3, 3, 1, 1}, false)),
    add_case(conv_case({7, 12, 5, 16, 80, 3, 3, 1, 1}, false)),
    add_case(conv_case({5, 24, 32, 32, 16, 3, 3, 1, 1}, false)),
    add_case(conv_case({1, 16, 16, 144, 160, 3, 3, 1, 1}, false)),
    add_case(conv_case({2, 16, 16, 16, 32, 1, 1, 2, 0}, false)),
    // Images of a few pixels: some taps lie on none of them, and numbers of images that fill no vector.
    add_case(conv_case({13, 2, 2, 32, 64, 3, 3, 1, 1}, false)),
    add_case(conv_case({9, 4, 4, 64, 32, 3, 3, 2, 1}, false)),
    add_case(conv_case({21, 3, 2, 32, 32, 3, 3, 2, 1}, false)),
    add_case(conv_case({8, 1, 1, 64, 32, 3, 3, 1, 1}, false)),
    add_case(conv_case({8, 1, 3, 32, 32, 5, 3, 1, 2}, false)),
    add_case(conv_case({10, 5, 5, 32, 32, 2, 2, 3, 0}, false)),
    add_case(conv_case({2, 7, 9, 64, 48, 1, 1, 1, 0}, false)),
    add_case(conv_case({2, 14, 14, 24, 40, 3, 3, 2, 1}, false)),
    // x is used by a convolution and by a shortcut: the tape gives the shortcut's gradient to the convolution
    // as an addend.
    add_case({.operation = "conv2d",
              .variant = "with a shortcut",
              .inputs = {uniform({2, 6, 6, 16}), uniform({16, 3, 3, 16}, Role::weight),
                         uniform({16, 1, 1, 16}, Role::weight)},
              .function =
                  [](const std::vector<Tensor>& in) {
                    const Tensor inner = conv2d(in[0], in[1], {1, 1});
                    // A 1x1 convolution of x itself, last on the tape, so its gradient is computed first.
                    const Tensor sum = conv2d(inner, in[2], {1, 0});
                    static const Operation join("shortcut (test)");
                    Tensor y = Tensor::empty_like(sum);
                    kindred::add(sum, in[0], Output(y));
                    if (Tape* tape = Tape::recording({&sum, &in[0]}))
                      tape->record(join, {&sum, &in[0]}, {&y}, {}, [](BackwardStep& step) {
                        step.pass_gradient(0, step.output_gradient());
                        step.pass_gradient(1, step.output_gradient());
                      });
                    return y;
                  },
              .central_differences = false}),
};

}  // namespace
}  // namespace kindred::gradcheck
