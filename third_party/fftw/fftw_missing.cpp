// In the place of fftw.cpp where the build did not find FFTW.
#include <kindred/engine/error.h>
#include <kindred/third_party/fftw/fftw.h>

namespace kindred::fftw {

struct SquareTransform::Plans {};

bool is_available() {
  return false;
}

SquareTransform::SquareTransform(int side) : side_(side) {
  fail(ExitCode::usage, "this build has no FFTW: install libfftw3-dev and build Kindred again");
}

SquareTransform::~SquareTransform() = default;

void SquareTransform::forward(const float*, int, std::complex<float>*) const {}
void SquareTransform::backward(std::complex<float>*, int, float*) const {}

}  // namespace kindred::fftw
