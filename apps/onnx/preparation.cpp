#include <kindred/apps/onnx/preparation.h>

#include <array>
#include <initializer_list>
#include <numeric>
#include <utility>
#include <vector>

namespace kindred::detail {
namespace {

// Builds the graph as formulas are written. All names begin with "prepare.".
class Formulas {
 public:
  explicit Formulas(OnnxGraph& graph) : graph_(graph) {}

  std::string operator()(const char* operation, std::initializer_list<std::string> inputs) {
    const std::string name = next_name();
    graph_.node(operation, name, inputs);
    return name;
  }
  template <typename Value>
  std::string with(const char* operation, std::initializer_list<std::string> inputs, const char* attribute,
                   const Value& value) {
    const std::string name = next_name();
    set(graph_.node(operation, name, inputs), attribute, value);
    return name;
  }
  std::string constant(double value) { return graph_.number(next_name(), static_cast<float>(value)); }
  std::string constants(const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
    return graph_.numbers(next_name(), shape, values);
  }
  std::string axes(const std::vector<std::int64_t>& values) { return graph_.integers(next_name(), values); }

 private:
  std::string next_name() { return "prepare." + std::to_string(count_++); }

  OnnxGraph& graph_;
  int count_ = 0;
};

// Along one side of the pictures, each a single number: how many pixels there are, how many the resized picture has, and
// which of them is the first of the square; a negative number if the square begins before it.
struct Side {
  std::string in, out, first;
};

std::string side_of_pictures(Formulas& f, const std::string& images, std::int64_t axis) {
  const std::string shape = f("Shape", {images});
  const std::string extent = f("Gather", {shape, f.axes({axis})});  // [1]
  return f("Squeeze", {f.with("Cast", {extent}, "to", std::int64_t{onnx::TensorProto::FLOAT})});
}

// ResizeMode::crop, as centre_view() in data/views/augment.cpp has it. Whole numbers below 2^24 are exact.
std::pair<Side, Side> cropped(Formulas& f, const std::string& height, const std::string& width,
                              std::int64_t size) {
  const std::string shorter = f("Min", {height, width}), half = f.constant(0.5);
  std::string side = f.constant(static_cast<double>(shorter_side(size)));
  if (shorter_side(size) != size) {  // a picture of the size of the square is not enlarged
    const std::string wanted = f.constant(static_cast<double>(size)), one = f.constant(1);
    const std::string off =
        f("Add", {f("Abs", {f("Sub", {height, wanted})}), f("Abs", {f("Sub", {width, wanted})})});
    side = f(
        "Add",
        {wanted, f("Mul", {f("Min", {off, one}), f.constant(static_cast<double>(shorter_side(size) - size))})});
  }
  const auto along = [&](const std::string& in) {
    Side result;
    result.in = in;
    result.out = f("Floor", {f("Div", {f("Mul", {in, side}), shorter})});
    result.first =
        f("Round", {f("Mul", {f("Sub", {result.out, f.constant(static_cast<double>(size))}), half})});
    return result;
  };
  return {along(height), along(width)};
}

// ResizeMode::pad, as padded_view() in data/views/augment.cpp.
std::pair<Side, Side> padded(Formulas& f, const std::string& height, const std::string& width,
                             std::int64_t size) {
  const std::string longer = f("Max", {height, width}), wanted = f.constant(static_cast<double>(size));
  const std::string half = f.constant(0.5), one = f.constant(1), zero = f.constant(0);
  const auto along = [&](const std::string& in) {
    Side result;
    result.in = in;
    result.out = f("Max", {f("Round", {f("Div", {f("Mul", {in, wanted}), longer})}), one});
    const std::string before = f("Floor", {f("Mul", {f("Sub", {wanted, result.out}), half})});
    result.first = f("Sub", {zero, before});
    return result;
  };
  return {along(height), along(width)};
}

std::pair<Side, Side> squashed(Formulas& f, const std::string& height, const std::string& width,
                               std::int64_t size) {
  const std::string out = f.constant(static_cast<double>(size)), first = f.constant(0);
  return {{height, out, first}, {width, out, first}};
}

// The weights of one side, [size, in], and which places of the square show the picture: 1 or 0, [size, 1].
struct Weights {
  std::string matrix, inside;
};

// Pixel x has the weight 1 - |(x + 1/2) - (i + 1/2) in / out| / max(in / out, 1) in place i of the resized picture, if
// that is positive (Triangle in data/images/resample_math.h). Times 2 max(in, out) these are whole numbers; the weights
// of a place are divided by their sum afterwards.
Weights weights_of(Formulas& f, const Side& side, std::int64_t size) {
  const std::string one = f.constant(1), two = f.constant(2);
  std::vector<float> counted(static_cast<std::size_t>(size));
  std::iota(counted.begin(), counted.end(), 0.0f);
  const std::string place = f("Add", {f.constants({size, 1}, counted), side.first});  // [size, 1]
  const std::string odd = f("Range", {one, f("Mul", {side.in, two}), two});           // [in]: 2x + 1
  const std::string distance =
      f("Abs",
        {f("Sub", {f("Mul", {odd, side.out}), f("Mul", {f("Add", {f("Mul", {place, two}), one}), side.in})})});
  const std::string reach = f("Mul", {f("Max", {side.in, side.out}), two});
  const std::string zero = f.constant(0);
  const std::string inside = f("Mul", {f("Max", {f("Min", {f("Add", {place, one}), one}), zero}),
                                       f("Max", {f("Min", {f("Sub", {side.out, place}), one}), zero})});
  const std::string raw = f("Mul", {f("Max", {f("Sub", {reach, distance}), zero}), inside});
  const std::string sum = f.with("ReduceSum", {raw, f.axes({1})}, "keepdims", std::int64_t{1});
  return {f("Div", {raw, f("Max", {sum, one})}), inside};  // the sum is at least 1 where there is any weight
}

std::string transposed(Formulas& f, const std::string& matrix) {
  return f.with("Transpose", {matrix}, "perm", std::vector<std::int64_t>{1, 0});
}

std::pair<Side, Side> sides(Formulas& f, const EncoderInfo& info, const std::string& images) {
  const std::string height = side_of_pictures(f, images, 1), width = side_of_pictures(f, images, 2);
  switch (info.resize) {
    case ResizeMode::pad:
      return padded(f, height, width, info.image_size);
    case ResizeMode::squash:
      return squashed(f, height, width, info.image_size);
    case ResizeMode::crop:
      break;
  }
  return cropped(f, height, width, info.image_size);
}

}  // namespace

std::string add_preparation(OnnxGraph& graph, const EncoderInfo& info, const std::string& images) {
  Formulas f(graph);
  const auto [down, across] = sides(f, info, images);
  const Weights rows = weights_of(f, down, info.image_size), columns = weights_of(f, across, info.image_size);
  const std::string planes = f.with("Transpose", {images}, "perm", std::vector<std::int64_t>{0, 3, 1, 2});
  const std::string pixels = f.with("Cast", {planes}, "to", std::int64_t{onnx::TensorProto::FLOAT});
  std::string view = f("MatMul", {f("MatMul", {rows.matrix, pixels}), transposed(f, columns.matrix)});
  if (info.resize == ResizeMode::pad) {
    const std::string shown = f("MatMul", {rows.inside, transposed(f, columns.inside)});  // [size, size]
    view = f("Add", {view, f("Mul", {f("Sub", {f.constant(1), shown}), f.constant(pad_gray)})});
  }
  const std::string levels = f("Floor", {f("Add", {view, f.constant(0.5)})});
  const auto of_channels = [&](const std::array<float, 3>& values) {
    return f.constants({3, 1, 1}, {values[0], values[1], values[2]});
  };
  return f("Div", {f("Sub", {f("Div", {levels, f.constant(255)}), of_channels(info.pixels.mean)}),
                   of_channels(info.pixels.deviation)});
}

}  // namespace kindred::detail
