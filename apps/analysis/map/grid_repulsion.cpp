#include <kindred/apps/analysis/map/repulsion.h>
#include <kindred/engine/cpu/parallel.h>
#include <kindred/third_party/fftw/fftw.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>

namespace kindred {
namespace {

constexpr double widest_spacing = 1.0 / 3;  // of nodes; the kernel q is about 1 wide
constexpr double least_steps = 64;          // of the grid over the map: smaller maps have a finer grid
constexpr int most_nodes = 2048;            // to a side; larger maps have a coarser one
constexpr double least_extent = 1e-12;      // so that points in one place have a grid
constexpr std::int64_t points_at_once = 1024, grid_rows_at_once = 4;

// The next even number whose factors are 2, 3, 5 and 7, and at most one 7.
int fast_side(int at_least) {
  for (int side = at_least + at_least % 2;; side += 2) {
    int rest = side % 7 == 0 ? side / 7 : side;
    for (const int factor : {2, 3, 5})
      while (rest % factor == 0) rest /= factor;
    if (rest == 1) return side;
  }
}

// The weights of nodes -1, 0, 1 and 2 at a place in [0, 1]: Lagrange's cubic polynomials.
std::array<float, 4> cubic_weights(double t) {
  const double a = t + 1, b = t, c = t - 1, d = t - 2;
  return {static_cast<float>(-b * c * d / 6), static_cast<float>(a * c * d / 2),
          static_cast<float>(-a * b * d / 2), static_cast<float>(a * b * c / 6)};
}

}  // namespace

GridRepulsion::GridRepulsion() = default;
GridRepulsion::~GridRepulsion() = default;

void GridRepulsion::choose_grid(double extent) {
  extent = std::max(extent, least_extent);
  double spacing = widest_spacing;
  while (extent / spacing < least_steps) spacing /= 2;
  while (extent / spacing > most_nodes - 2 * stencil) spacing *= 2;
  const int side = fast_side(2 * (static_cast<int>(extent / spacing) + 1 + stencil));
  if (spacing == spacing_ && fft_ && side == fft_->side()) return;
  spacing_ = spacing;
  if (!fft_ || side != fft_->side()) fft_ = std::make_unique<fftw::SquareTransform>(side);
  nodes_ = side / 2;
  transform_kernels();
}

void GridRepulsion::transform_kernels() {
  const int side = fft_->side();
  const std::int64_t width = fft_->spectrum_width();
  const auto cells = static_cast<std::size_t>(side) * static_cast<std::size_t>(side),
             spectrum_cells = static_cast<std::size_t>(side * width);
  std::vector<float> kernel(cells);
  spectrum_.resize(spectrum_cells);
  spectrum_y_.resize(spectrum_cells);
  const float scale = 1 / static_cast<float>(cells);  // FFTW's transforms there and back multiply by the cells
  const auto transform = [&](const auto& value, const auto& part, std::vector<float>& out) {
    parallel_for(side, grid_rows_at_once, [&](std::int64_t begin, std::int64_t end) {
      const auto step = [&](std::int64_t i) {  // from node 0; a half of the nodes lies to the left
        return spacing_ * static_cast<double>(i < nodes_ ? i : i - side);
      };
      for (std::int64_t i = begin; i < end; ++i)
        for (std::int64_t j = 0; j < side; ++j)
          kernel[static_cast<std::size_t>(i * side + j)] = static_cast<float>(value(step(j), step(i)));
    });
    fft_->forward(kernel.data(), side, spectrum_.data());
    out.resize(spectrum_cells);
    for (std::size_t i = 0; i < spectrum_cells; ++i) out[i] = scale * part(spectrum_[i]);
  };
  const auto q = [](double x, double y) { return 1 / (1 + x * x + y * y); };
  for (int i = 0; i < stencil * stencil; ++i)
    near_q_[static_cast<std::size_t>(i)] =
        static_cast<float>(q(spacing_ * (i % stencil), spacing_ * (i / stencil)));
  const auto real = [](std::complex<float> z) { return z.real(); };
  const auto imaginary = [](std::complex<float> z) { return z.imag(); };
  transform(q, real, kernel_q_);
  transform([&](double x, double y) { return x * q(x, y) * q(x, y); }, imaginary, kernel_x_);
  transform([&](double x, double y) { return y * q(x, y) * q(x, y); }, imaginary, kernel_y_);
}

// Sorts the points by rows of the grid, those of a row in their own order.
void GridRepulsion::locate(std::span<const double> places) {
  const auto points = static_cast<std::int64_t>(places.size() / 2);
  const auto step = [&](double place, double from) { return (place - from) / spacing_; };
  const auto node = [&](double steps) {  // of the four the first: node 0 lies a step before the map
    return std::clamp(static_cast<std::int32_t>(steps), 0, nodes_ - stencil);
  };
  row_begin_.assign(static_cast<std::size_t>(nodes_) + 1, 0);
  for (std::int64_t p = 0; p < points; ++p)
    ++row_begin_[static_cast<std::size_t>(node(step(places[static_cast<std::size_t>(2 * p + 1)], top_))) + 1];
  std::partial_sum(row_begin_.begin(), row_begin_.end(), row_begin_.begin());
  std::vector<std::int64_t> next = row_begin_;
  points_.resize(static_cast<std::size_t>(points));
  for (std::int64_t p = 0; p < points; ++p) {
    const std::int32_t row = node(step(places[static_cast<std::size_t>(2 * p + 1)], top_));
    Spread& spread = points_[static_cast<std::size_t>(next[static_cast<std::size_t>(row)]++)];
    spread.point = static_cast<std::int32_t>(p);
    spread.row = row;
  }
  parallel_for(points, points_at_once, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      Spread& spread = points_[static_cast<std::size_t>(i)];
      const auto at = 2 * static_cast<std::size_t>(spread.point);
      const double x = step(places[at], left_), y = step(places[at + 1], top_);
      spread.column = node(x);
      spread.across = cubic_weights(x - spread.column);
      spread.down = cubic_weights(y - spread.row);
    }
  });
}

// Each row of the grid is written by one thread, which adds the points that reach it in a fixed order.
void GridRepulsion::spread() {
  const std::int64_t side = fft_->side();
  charge_.resize(static_cast<std::size_t>(nodes_ * side));
  parallel_for(nodes_, grid_rows_at_once, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* const out = charge_.data() + row * side;
      std::fill(out, out + side, 0.0f);
      for (std::int64_t first = std::max<std::int64_t>(0, row - stencil + 1); first <= row; ++first)
        for (std::int64_t i = row_begin_[static_cast<std::size_t>(first)];
             i < row_begin_[static_cast<std::size_t>(first) + 1]; ++i) {
          const Spread& point = points_[static_cast<std::size_t>(i)];
          const float weight = point.down[static_cast<std::size_t>(row - first)];
          float* const at = out + point.column;
          for (std::size_t k = 0; k < stencil; ++k) at[k] += weight * point.across[k];
        }
    }
  });
}

// From the charges to both forces on the nodes. Returns the sum of q over all pairs, with each point and itself: of its spectrum
// alone (Parseval), since the sum over nodes of charge times potential is that over frequencies.
double GridRepulsion::convolve() {
  fft_->forward(charge_.data(), nodes_, spectrum_.data());
  const int side = fft_->side();
  const std::int64_t width = fft_->spectrum_width();
  sums_.assign(static_cast<std::size_t>(side), 0);
  parallel_for(side, grid_rows_at_once, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      double sum = 0;
      for (std::int64_t column = 0; column < width; ++column) {
        const auto i = static_cast<std::size_t>(row * width + column);
        const float re = spectrum_[i].real(), im = spectrum_[i].imag();
        const double half =
            column == 0 || column + 1 == width ? 1 : 2;  // the other half of the spectrum is its mirror
        sum += half * kernel_q_[i] * (static_cast<double>(re) * re + static_cast<double>(im) * im);
        spectrum_[i] = {-kernel_x_[i] * im, kernel_x_[i] * re};
        spectrum_y_[i] = {-kernel_y_[i] * im, kernel_y_[i] * re};
      }
      sums_[static_cast<std::size_t>(row)] = sum;
    }
  });
  force_x_.resize(charge_.size());
  force_y_.resize(charge_.size());
  fft_->backward(spectrum_.data(), nodes_, force_x_.data());
  fft_->backward(spectrum_y_.data(), nodes_, force_y_.data());
  return std::accumulate(sums_.begin(), sums_.end(), 0.0);
}

void GridRepulsion::gather(Repulsion& result) const {
  const std::int64_t side = fft_->side(), points = static_cast<std::int64_t>(points_.size());
  parallel_for(points, points_at_once, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Spread& point = points_[static_cast<std::size_t>(i)];
      float x = 0, y = 0;
      for (std::size_t down = 0; down < stencil; ++down) {
        const std::size_t at = (static_cast<std::size_t>(point.row) + down) * static_cast<std::size_t>(side) +
                               static_cast<std::size_t>(point.column);
        float row_x = 0, row_y = 0;
        for (std::size_t across = 0; across < stencil; ++across) {
          row_x += point.across[across] * force_x_[at + across];
          row_y += point.across[across] * force_y_[at + across];
        }
        x += point.down[down] * row_x;
        y += point.down[down] * row_y;
      }
      result.force[2 * static_cast<std::size_t>(point.point)] = x;
      result.force[2 * static_cast<std::size_t>(point.point) + 1] = y;
    }
  });
}

// The sum over points of what the grid gives as q of a point and itself.
double GridRepulsion::pairs_with_themselves() {
  const auto points = static_cast<std::int64_t>(points_.size());
  // For 0, 1, 2 and 3 nodes apart: the sum of the products of two weights, in both orders.
  const auto products = [](const std::array<float, stencil>& w) -> std::array<float, stencil> {
    return {w[0] * w[0] + w[1] * w[1] + w[2] * w[2] + w[3] * w[3],
            2 * (w[0] * w[1] + w[1] * w[2] + w[2] * w[3]), 2 * (w[0] * w[2] + w[1] * w[3]), 2 * w[0] * w[3]};
  };
  sums_.resize(points_.size());
  parallel_for(points, points_at_once, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Spread& point = points_[static_cast<std::size_t>(i)];
      const auto down = products(point.down), across = products(point.across);
      float sum = 0;
      for (std::size_t k = 0; k < near_q_.size(); ++k)
        sum += down[k / stencil] * across[k % stencil] * near_q_[k];
      sums_[static_cast<std::size_t>(i)] = sum;
    }
  });
  return std::accumulate(sums_.begin(), sums_.end(), 0.0);
}

void GridRepulsion::operator()(std::span<const double> places, Repulsion& result) {
  double left = INFINITY, right = -INFINITY, top = INFINITY, bottom = -INFINITY;
  for (std::size_t i = 0; i < places.size(); i += 2) {
    left = std::min(left, places[i]);
    right = std::max(right, places[i]);
    top = std::min(top, places[i + 1]);
    bottom = std::max(bottom, places[i + 1]);
  }
  choose_grid(std::max(right - left, bottom - top));
  left_ = left;
  top_ = top;
  locate(places);
  spread();
  const double pairs = convolve();
  result.force.resize(places.size());
  gather(result);
  result.normalizer = pairs - pairs_with_themselves();
}

}  // namespace kindred
