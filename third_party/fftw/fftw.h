// FFTW behind one class: transforms of a real square, float32.
//
// A row or a column is transformed by one thread, by a plan that FFTW chooses without measuring (FFTW_ESTIMATE). So the result
// does not depend on the number of threads, nor on how busy the machine is.
#pragma once

#include <complex>
#include <cstdint>
#include <memory>

namespace kindred::fftw {

// Whether this build has FFTW. Without it the constructor of SquareTransform throws Error(usage).
bool is_available();

// A real square has `side` rows of `side` values. Its spectrum has `side` rows of `spectrum_width()` complex values: the other
// half follows by symmetry. A side whose prime factors are small (2, 3, 5, 7) is fast.
class SquareTransform {
 public:
  explicit SquareTransform(int side);  // even, 2 or more
  ~SquareTransform();
  SquareTransform(const SquareTransform&) = delete;
  SquareTransform& operator=(const SquareTransform&) = delete;

  int side() const { return side_; }
  std::int64_t spectrum_width() const { return side_ / 2 + 1; }

  // square [filled_rows, side] -> spectrum [side, spectrum_width()]. The rows from `filled_rows` on are zero; they are not in
  // memory.
  void forward(const float* square, int filled_rows, std::complex<float>* spectrum) const;
  // The other direction, times side * side; only the first rows, square [wanted_rows, side]. Destroys the spectrum.
  void backward(std::complex<float>* spectrum, int wanted_rows, float* square) const;

 private:
  struct Plans;
  int side_;
  std::unique_ptr<const Plans> plans_;
};

}  // namespace kindred::fftw
