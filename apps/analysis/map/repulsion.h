// How the points of a map push each other apart in t-SNE: sums over all pairs.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace kindred {

namespace fftw {
class SquareTransform;
}

// With q = 1 / (1 + the squared distance) of two points:
struct Repulsion {
  std::vector<double> force{};  // [points, 2]: of each point, the sum of q^2 (its place - the other's)
  double normalizer = 0;        // the sum of q over all ordered pairs of different points
};

// places [points, 2], finite. Both forms give the same numbers for any number of threads.

// Pair by pair: N^2 steps.
void exact_repulsion(std::span<const double> places, Repulsion& result);

// By interpolation on a grid, over which the sums are convolutions that FFTs compute: N steps and those of the FFT (Linderman,
// Rachh, Hoskins, Steinerberger and Kluger 2019, "Fast interpolation-based t-SNE", FIt-SNE). It differs from FIt-SNE in four
// ways. A point is spread over the 4 x 4 nodes around it, and not over those of a box at whose edges interpolation is worst. The
// spacing of nodes is a power of two times a constant, so that the kernels are transformed only when it changes, not at each
// step. The forces are convolutions with the kernel q^2 (x, y) itself, so that one FFT forward and two back are enough. What
// interpolation gives for a point and itself is taken out of the normalizer as it is, and not as 1.
//
// The error of the forces (root of the mean square, of that of the forces) is below 3 %, and that of the normalizer below 0.3 %:
// the largest where a few thousand points are scattered widely, so that each feels its nearest alone. Boxes of 3 x 3 nodes one
// unit wide, as FIt-SNE has them, had errors of the forces one to three times as large on the same points.
class GridRepulsion {
 public:
  GridRepulsion();
  ~GridRepulsion();

  // Throws Error(usage) in a build without FFTW.
  void operator()(std::span<const double> places, Repulsion& result);

 private:
  static constexpr int stencil = 4;  // nodes to a side that a point is spread over
  // A point on the grid: its first node, and the weights of the nodes from there.
  struct Spread {
    std::int32_t point = 0, row = 0, column = 0;
    std::array<float, stencil> down{}, across{};
  };
  void choose_grid(double extent);
  void transform_kernels();
  void locate(std::span<const double> places);
  void spread();
  double convolve();
  void gather(Repulsion& result) const;
  double pairs_with_themselves();

  double spacing_ = 0, left_ = 0, top_ = 0;
  int nodes_ = 0;                               // to a side
  std::unique_ptr<fftw::SquareTransform> fft_;  // of twice as many: what is beyond them is zero
  std::vector<float> kernel_q_{}, kernel_x_{},
      kernel_y_{};                         // [side, width]: spectra, real, imaginary and imaginary
  std::vector<Spread> points_{};           // [points], row of the grid by row
  std::vector<std::int64_t> row_begin_{};  // [nodes + 1]: the points whose first node lies in a row
  std::vector<float> charge_{}, force_x_{}, force_y_{};         // [nodes, side]
  std::vector<std::complex<float>> spectrum_{}, spectrum_y_{};  // [side, width]
  std::array<float, stencil * stencil> near_q_{};  // q between nodes that are so many rows and columns apart
  std::vector<double> sums_{};                     // of rows of the grid, or of points
};

}  // namespace kindred
