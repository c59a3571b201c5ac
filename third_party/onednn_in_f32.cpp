#include <kindred/engine/parallel.h>
#include <kindred/third_party/onednn_in_f32.h>

namespace kindred::onednn {
namespace {

constexpr std::int64_t grain = 16384;  // elements: fewer are not worth waking a thread for

template <typename From, typename To>
void convert(const From* from, To* to, std::int64_t count) {
  parallel_for(count, grain, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) to[i] = To(float(from[i]));
  });
}

// A tensor of `count` elements for the length of one call: f32 memory of the caller's as it is, bf16 as an f32
// copy.
class Widened {
 public:
  Widened(const void* data, DType dtype, std::int64_t count) : data_(const_cast<void*>(data)), count_(count) {
    if (dtype == DType::bf16) copy_ = Tensor::empty({count}, DType::f32, Device::cpu);
  }
  const Widened& read() const {
    if (copy_.defined()) convert(static_cast<const BFloat16*>(data_), copy_.data<float>(), count_);
    return *this;
  }
  void write_back() const {
    if (copy_.defined()) convert(copy_.data<float>(), static_cast<BFloat16*>(data_), count_);
  }
  float* floats() const { return copy_.defined() ? copy_.data<float>() : static_cast<float*>(data_); }

 private:
  void* data_;
  std::int64_t count_;
  Tensor copy_;
};

}  // namespace

void bf16_gemm_in_f32(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                      const BFloat16* a, const BFloat16* b, void* c, DType c_dtype) {
  const Widened left(a, DType::bf16, m * k), right(b, DType::bf16, k * n), product(c, c_dtype, m * n);
  sgemm(transpose_a, transpose_b, m, n, k, 1, left.read().floats(), transpose_a ? m : k, right.read().floats(),
        transpose_b ? k : n, 0, product.floats(), n);
  product.write_back();
}

}  // namespace kindred::onednn
