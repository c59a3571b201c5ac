#include <kindred/third_party/onednn.h>

#include <oneapi/dnnl/dnnl.hpp>

#include <map>
#include <mutex>
#include <tuple>

namespace kindred::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream s(engine());
  return s;
}

memory::data_type type_of(DType dtype) {
  if (dtype == DType::f32) return memory::data_type::f32;
  if (dtype == DType::bf16) return memory::data_type::bf16;
  fail(ExitCode::internal, "oneDNN is not used for {}", name(dtype));
}

// oneDNN reports failure by dnnl::error; the user sees which call failed.
template <typename Body>
auto checked(const char* call, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    fail(ExitCode::internal, "oneDNN: {} failed: {}", call, error.message);
  }
}

struct ConvolutionPlan {
  dnnl::primitive primitive;
  memory::desc image, filter, user_filter, result, scratch;
  dnnl::primitive reorder;  // between the user's filters and the packed ones; empty when they are the same
};

memory::desc any_filter(const Convolution& key) {
  return {{key.k, key.c, key.kh, key.kw}, type_of(key.weight_dtype), Tag::any};
}

// The three passes differ in their classes but not in their arguments.
template <typename Primitive>
ConvolutionPlan finish_plan(const typename Primitive::primitive_desc& descriptor, const memory::desc& filter) {
  ConvolutionPlan plan;
  plan.primitive = Primitive(descriptor);
  plan.filter = filter;
  plan.scratch = descriptor.scratchpad_desc();
  return plan;
}

ConvolutionPlan make_plan(const Convolution& key) {
  const auto algorithm = dnnl::algorithm::convolution_direct;
  const memory::desc x({key.n, key.c, key.h, key.w}, type_of(key.dtype), Tag::nhwc);
  const memory::desc y({key.n, key.k, key.out_h, key.out_w}, type_of(key.dtype), Tag::nhwc);
  const memory::desc w = any_filter(key);
  const memory::dims strides{key.stride, key.stride};
  // The far padding is what makes the output size come out, whatever the stride leaves over.
  const memory::dims near{key.pad, key.pad};
  const memory::dims far{(key.out_h - 1) * key.stride + key.kh - key.h - key.pad,
                         (key.out_w - 1) * key.stride + key.kw - key.w - key.pad};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  // Backward passes want a forward hint whose filters have the activations' type.
  const memory::desc hint_w({key.k, key.c, key.kh, key.kw}, type_of(key.dtype), Tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::convolution_forward::primitive_desc forward(
      engine(), dnnl::prop_kind::forward_training, algorithm, x, key.pass == Pass::forward ? w : hint_w, y, strides, near, far,
      attributes);
#else
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, algorithm, x, key.pass == Pass::forward ? w : hint_w, y, strides, near, far},
      attributes, engine());
#endif

  ConvolutionPlan plan;
  switch (key.pass) {
    case Pass::forward:
      plan = finish_plan<dnnl::convolution_forward>(forward, forward.weights_desc());
      break;
    case Pass::backward_data: {
#if DNNL_VERSION_MAJOR >= 3
      const dnnl::convolution_backward_data::primitive_desc descriptor(engine(), algorithm, x, w, y, strides, near,
                                                                       far, forward, attributes);
#else
      const dnnl::convolution_backward_data::primitive_desc descriptor({algorithm, x, w, y, strides, near, far},
                                                                       attributes, engine(), forward);
#endif
      plan = finish_plan<dnnl::convolution_backward_data>(descriptor, descriptor.weights_desc());
      break;
    }
    case Pass::backward_weight: {
#if DNNL_VERSION_MAJOR >= 3
      const dnnl::convolution_backward_weights::primitive_desc descriptor(engine(), algorithm, x, w, y, strides, near,
                                                                          far, forward, attributes);
#else
      const dnnl::convolution_backward_weights::primitive_desc descriptor({algorithm, x, w, y, strides, near, far},
                                                                          attributes, engine(), forward);
#endif
      plan = finish_plan<dnnl::convolution_backward_weights>(descriptor, descriptor.diff_weights_desc());
      break;
    }
  }
  plan.image = x;
  plan.result = y;
  plan.user_filter = memory::desc({key.k, key.c, key.kh, key.kw}, type_of(key.weight_dtype), Tag::ohwi);
  if (plan.filter != plan.user_filter) {
    const bool unpack = key.pass == Pass::backward_weight;
    plan.reorder = dnnl::reorder(unpack ? dnnl::reorder::primitive_desc(engine(), plan.filter, engine(), plan.user_filter)
                                        : dnnl::reorder::primitive_desc(engine(), plan.user_filter, engine(), plan.filter));
  }
  return plan;
}

const ConvolutionPlan& plan_of(const Convolution& key) {
  static std::map<Convolution, ConvolutionPlan> plans;
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  auto found = plans.find(key);
  if (found == plans.end())
    found = plans.emplace(key, checked("creating a convolution", [&] { return make_plan(key); })).first;
  return found->second;
}

memory wrap(const memory::desc& descriptor, const void* data) {
  return memory(descriptor, engine(), const_cast<void*>(data));
}

Tensor workspace(std::size_t bytes) {
  return Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::u8, Device::cpu);
}

}  // namespace

void convolution(const Convolution& key, const void* first, const void* second, void* result) {
  const ConvolutionPlan& plan = plan_of(key);
  checked("a convolution", [&] {
    const bool packs = static_cast<bool>(plan.reorder);
    const Tensor packed = workspace(packs ? plan.filter.get_size() : 0);
    const Tensor scratch = workspace(plan.scratch.get_size());
    const void* filter = key.pass == Pass::backward_weight ? result : second;
    const memory user_filter = wrap(plan.user_filter, filter);
    const memory filters = packs ? wrap(plan.filter, packed.raw()) : wrap(plan.filter, filter);
    const memory scratchpad = wrap(plan.scratch, scratch.raw());
    auto run = [&](int image_role, const void* image, int filter_role, int output_role, const void* output) {
      plan.primitive.execute(stream(), {{image_role, wrap(plan.image, image)},
                                        {filter_role, filters},
                                        {output_role, wrap(plan.result, output)},
                                        {DNNL_ARG_SCRATCHPAD, scratchpad}});
    };
    if (packs && key.pass != Pass::backward_weight)
      plan.reorder.execute(stream(), {{DNNL_ARG_FROM, user_filter}, {DNNL_ARG_TO, filters}});
    switch (key.pass) {
      case Pass::forward: run(DNNL_ARG_SRC, first, DNNL_ARG_WEIGHTS, DNNL_ARG_DST, result); break;
      case Pass::backward_data: run(DNNL_ARG_DIFF_SRC, result, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST, first); break;
      case Pass::backward_weight: run(DNNL_ARG_SRC, first, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST, second); break;
    }
    if (packs && key.pass == Pass::backward_weight)
      plan.reorder.execute(stream(), {{DNNL_ARG_FROM, filters}, {DNNL_ARG_TO, user_filter}});
    stream().wait();
  });
}

std::size_t convolution_workspace(const Convolution& key) {
  const ConvolutionPlan& plan = plan_of(key);
  return plan.scratch.get_size() + (plan.reorder ? plan.filter.get_size() : 0);
}

void sgemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
           const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
           std::int64_t ldc) {
  checked("dnnl_sgemm", [&] {
    dnnl::error::wrap_c_api(dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, alpha, a, lda, b,
                                       ldb, beta, c, ldc),
                            "dnnl_sgemm");
  });
}

void bf16_gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const BFloat16* a,
               const BFloat16* b, void* c, DType c_dtype) {
  using Key = std::tuple<bool, bool, std::int64_t, std::int64_t, std::int64_t, DType>;
  static std::map<Key, dnnl::matmul> products;
  static std::mutex mutex;
  const auto bf16 = memory::data_type::bf16;
  const memory::desc a_desc({m, k}, bf16, transpose_a ? Tag::ba : Tag::ab);
  const memory::desc b_desc({k, n}, bf16, transpose_b ? Tag::ba : Tag::ab);
  const memory::desc c_desc({m, n}, type_of(c_dtype), Tag::ab);
  checked("a matrix product", [&] {
    dnnl::matmul product;
    {
      const std::lock_guard lock(mutex);
      dnnl::matmul& cached = products[Key{transpose_a, transpose_b, m, n, k, c_dtype}];
#if DNNL_VERSION_MAJOR >= 3
      if (!cached) cached = dnnl::matmul(dnnl::matmul::primitive_desc(engine(), a_desc, b_desc, c_desc));
#else
      if (!cached) cached = dnnl::matmul(dnnl::matmul::primitive_desc({a_desc, b_desc, c_desc}, engine()));
#endif
      product = cached;
    }
    product.execute(stream(), {{DNNL_ARG_SRC, wrap(a_desc, a)},
                               {DNNL_ARG_WEIGHTS, wrap(b_desc, b)},
                               {DNNL_ARG_DST, wrap(c_desc, c)}});
    stream().wait();
  });
}

std::string version() {
  const dnnl_version_t* v = dnnl_version();
  return fmt::format("oneDNN {}.{}.{}", v->major, v->minor, v->patch);
}

}  // namespace kindred::onednn
