#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/fftw/fftw.h>

#include <fftw3.h>

#include <algorithm>
#include <mutex>
#include <vector>

namespace kindred::fftw {
namespace {

// Columns that one plan transforms together: they lie side by side, so that a cache line that is read is used whole.
constexpr int columns_together = 8;

// Only FFTW's execution may be called by several threads at once.
std::mutex& planner() {
  static std::mutex mutex;
  return mutex;
}

struct Plan {
  explicit Plan(fftwf_plan made) : plan(made) {
    check(made != nullptr, ExitCode::internal, "FFTW made no plan");
  }
  ~Plan() {
    const std::lock_guard lock(planner());
    fftwf_destroy_plan(plan);
  }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  fftwf_plan plan;
};

fftwf_complex* as_fftw(std::complex<float>* values) {
  return reinterpret_cast<fftwf_complex*>(values);
}

// Memory that plans are made for. They are executed on other memory, which FFTW_UNALIGNED allows to lie anywhere.
struct Square {
  explicit Square(int side)
      : row(static_cast<std::size_t>(side)),
        spectrum(static_cast<std::size_t>(side) * static_cast<std::size_t>(side / 2 + 1)) {}
  std::vector<float> row;
  std::vector<std::complex<float>> spectrum;
};

constexpr unsigned how_to_plan = FFTW_ESTIMATE | FFTW_UNALIGNED;

fftwf_plan plan_columns(Square& memory, int side, int columns, int direction) {
  const int width = side / 2 + 1;
  fftwf_complex* const data = as_fftw(memory.spectrum.data());
  return fftwf_plan_many_dft(1, &side, columns, data, nullptr, width, 1, data, nullptr, width, 1, direction,
                             how_to_plan);
}

int columns_in_last_block(int side) {
  const int rest = (side / 2 + 1) % columns_together;
  return rest == 0 ? columns_together : rest;
}

}  // namespace

struct SquareTransform::Plans {
  Plans(int side, Square&& memory, const std::lock_guard<std::mutex>&)
      : row_forward(fftwf_plan_dft_r2c_1d(side, memory.row.data(), as_fftw(memory.spectrum.data()),
                                          how_to_plan | FFTW_PRESERVE_INPUT)),
        row_backward(
            fftwf_plan_dft_c2r_1d(side, as_fftw(memory.spectrum.data()), memory.row.data(), how_to_plan)),
        columns_forward(plan_columns(memory, side, std::min(columns_together, side / 2 + 1), FFTW_FORWARD)),
        columns_backward(plan_columns(memory, side, std::min(columns_together, side / 2 + 1), FFTW_BACKWARD)),
        last_forward(plan_columns(memory, side, columns_in_last_block(side), FFTW_FORWARD)),
        last_backward(plan_columns(memory, side, columns_in_last_block(side), FFTW_BACKWARD)) {}

  void transform_columns(std::complex<float>* spectrum, int side, bool forward) const {
    const int width = side / 2 + 1, blocks = (width + columns_together - 1) / columns_together;
    const Plan &whole = forward ? columns_forward : columns_backward,
               &last = forward ? last_forward : last_backward;
    parallel_for(blocks, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        fftwf_complex* const data = as_fftw(spectrum + block * columns_together);
        fftwf_execute_dft(block + 1 < blocks ? whole.plan : last.plan, data, data);
      }
    });
  }

  Plan row_forward, row_backward, columns_forward, columns_backward, last_forward, last_backward;
};

bool is_available() {
  return true;
}

SquareTransform::SquareTransform(int side) : side_(side) {
  check(side >= 2 && side % 2 == 0, ExitCode::internal, "a square of {} rows cannot be transformed", side);
  const std::lock_guard lock(planner());
  plans_ = std::make_unique<const Plans>(side, Square(side), lock);
}

SquareTransform::~SquareTransform() = default;

void SquareTransform::forward(const float* square, int filled_rows, std::complex<float>* spectrum) const {
  const std::int64_t width = spectrum_width();
  parallel_for(side_, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      std::complex<float>* const out = spectrum + row * width;
      if (row < filled_rows)
        fftwf_execute_dft_r2c(plans_->row_forward.plan, const_cast<float*>(square + row * side_), as_fftw(out));
      else
        std::fill(out, out + width, std::complex<float>());
    }
  });
  plans_->transform_columns(spectrum, side_, true);
}

void SquareTransform::backward(std::complex<float>* spectrum, int wanted_rows, float* square) const {
  plans_->transform_columns(spectrum, side_, false);
  const std::int64_t width = spectrum_width();
  parallel_for(wanted_rows, 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      fftwf_execute_dft_c2r(plans_->row_backward.plan, as_fftw(spectrum + row * width), square + row * side_);
  });
}

}  // namespace kindred::fftw
