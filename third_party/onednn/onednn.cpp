#include <kindred/engine/cpu/parallel.h>
#include <kindred/engine/cpu/targets.h>
#include <kindred/third_party/onednn/onednn.h>

#include <sys/mman.h>  // defines: mmap, munmap
#include <oneapi/dnnl/dnnl.hpp>

#include <cstdlib>
#include <map>
#include <mutex>
#include <type_traits>
#include <utility>

namespace kindred::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// oneDNN takes no wider vectors than the kernels do. DNNL_MAX_CPU_ISA may narrow it further; it is read before this.
void cap_instructions() {
  if (std::getenv("DNNL_MAX_CPU_ISA") != nullptr) return;
  if (cpu_target() == CpuTarget::avx2) dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
  if (cpu_target() == CpuTarget::scalar) dnnl::set_max_cpu_isa(dnnl::cpu_isa::sse41);
}

const dnnl::engine& engine() {
  static const dnnl::engine cpu = [] {
    cap_instructions();
    check_threads_start();  // oneDNN computes on OpenMP's threads
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
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

// Whether oneDNN failed for lack of memory. It has a status for this, but the code generator of oneDNN 2 reports a
// runtime error if it cannot map a page, and the search for an implementation goes on to "unimplemented".
bool lacks_memory(const dnnl::error& error) {
  if (error.status == dnnl_out_of_memory) return true;
  constexpr std::size_t some = std::size_t{64} << 20;  // much more than generated code needs
  void* const map = mmap(nullptr, some, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return true;
  munmap(map, some);
  return false;
}

// oneDNN reports failure by dnnl::error. This says which call failed.
template <typename Body>
auto checked(const char* call, Body&& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    if (lacks_memory(error)) throw OutOfMemory(fmt::format("out of memory: oneDNN: {} failed", call));
    fail(ExitCode::internal, "oneDNN: {} failed: {}", call, error.message);
  }
}

// One of the three tensors of a convolution: in the caller's layout and in the primitive's layout.
struct Operand {
  memory::desc given, wanted;
  int role;  // DNNL_ARG_...
  bool is_result;
  dnnl::primitive reorder;  // between the two layouts; empty if they are the same
};

struct ConvolutionPlan {
  dnnl::primitive primitive;
  Operand x, w, y;
  memory::desc scratch;
};

// The descriptors that define a primitive. Our tensors are NHWC. Winograd chooses its own layout with blocked
// channels.
struct Descriptions {
  memory::desc x, w, y;
};

Descriptions given_descriptions(const Convolution& key) {
  const ConvShape& s = key.shape;
  return {{{s.n, s.c, s.h, s.w}, type_of(key.dtype), Tag::nhwc},
          {{s.k, s.c, s.kh, s.kw}, type_of(key.weight_dtype), Tag::ohwi},
          {{s.n, s.k, s.out_h, s.out_w}, type_of(key.dtype), Tag::nhwc}};
}

Descriptions wanted_descriptions(const Convolution& key, DType weight_dtype) {
  const ConvShape& s = key.shape;
  const Tag image = key.algorithm == Algorithm::winograd ? Tag::any : Tag::nhwc;
  return {{{s.n, s.c, s.h, s.w}, type_of(key.dtype), image},
          {{s.k, s.c, s.kh, s.kw}, type_of(weight_dtype), Tag::any},
          {{s.n, s.k, s.out_h, s.out_w}, type_of(key.dtype), image}};
}

// oneDNN 3 takes everything in one constructor; 2 needs an operation descriptor in between. `hint` is the
// forward primitive that the backward ones require.
template <typename Convolution_, typename... Hint>
typename Convolution_::primitive_desc describe(const Convolution& key, const Descriptions& d,
                                               const Hint&... hint) {
  const auto algorithm = key.algorithm == Algorithm::winograd ? dnnl::algorithm::convolution_winograd
                                                              : dnnl::algorithm::convolution_direct;
  const ConvShape& s = key.shape;
  const memory::dims strides{s.stride, s.stride}, before{s.pad, s.pad};
  // The padding at the far sides follows from the output size, for any remainder of the stride.
  const memory::dims behind{(s.out_h - 1) * s.stride + s.kh - s.h - s.pad,
                            (s.out_w - 1) * s.stride + s.kw - s.w - s.pad};
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  constexpr bool is_forward = std::is_same_v<Convolution_, dnnl::convolution_forward>;
#if DNNL_VERSION_MAJOR >= 3
  if constexpr (is_forward)
    return {engine(),  dnnl::prop_kind::forward_training, algorithm, d.x, d.w, d.y, strides, before, behind,
            attributes};
  else
    return {engine(), algorithm, d.x, d.w, d.y, strides, before, behind, hint..., attributes};
#else
  if constexpr (is_forward)
    return {{dnnl::prop_kind::forward_training, algorithm, d.x, d.w, d.y, strides, before, behind},
            attributes,
            engine()};
  else
    return {{algorithm, d.x, d.w, d.y, strides, before, behind}, attributes, engine(), hint...};
#endif
}

Operand operand(const memory::desc& given, const memory::desc& wanted, int role, bool is_result) {
  Operand result{given, wanted, role, is_result, {}};
  if (given != wanted)
    result.reorder =
        dnnl::reorder(is_result ? dnnl::reorder::primitive_desc(engine(), wanted, engine(), given)
                                : dnnl::reorder::primitive_desc(engine(), given, engine(), wanted));
  return result;
}

ConvolutionPlan make_plan(const Convolution& key) {
  const Descriptions given = given_descriptions(key);
  const Descriptions wanted = wanted_descriptions(key, key.weight_dtype);
  // The filters of the hint have the activations' type, even if the filter gradient is f32.
  const auto forward = describe<dnnl::convolution_forward>(
      key, key.pass == ConvPass::forward ? wanted : wanted_descriptions(key, key.dtype));
  switch (key.pass) {
    case ConvPass::forward:
      return {dnnl::convolution_forward(forward), operand(given.x, forward.src_desc(), DNNL_ARG_SRC, false),
              operand(given.w, forward.weights_desc(), DNNL_ARG_WEIGHTS, false),
              operand(given.y, forward.dst_desc(), DNNL_ARG_DST, true), forward.scratchpad_desc()};
    case ConvPass::backward_data: {
      const auto d = describe<dnnl::convolution_backward_data>(key, wanted, forward);
      return {dnnl::convolution_backward_data(d), operand(given.x, d.diff_src_desc(), DNNL_ARG_DIFF_SRC, true),
              operand(given.w, d.weights_desc(), DNNL_ARG_WEIGHTS, false),
              operand(given.y, d.diff_dst_desc(), DNNL_ARG_DIFF_DST, false), d.scratchpad_desc()};
    }
    case ConvPass::backward_weight:
      break;
  }
  const auto d = describe<dnnl::convolution_backward_weights>(key, wanted, forward);
  return {dnnl::convolution_backward_weights(d), operand(given.x, d.src_desc(), DNNL_ARG_SRC, false),
          operand(given.w, d.diff_weights_desc(), DNNL_ARG_DIFF_WEIGHTS, true),
          operand(given.y, d.diff_dst_desc(), DNNL_ARG_DIFF_DST, false), d.scratchpad_desc()};
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

std::size_t packed_bytes(const Operand& o) {
  return o.reorder ? o.wanted.get_size() : 0;
}

// An operand while the primitive runs: the caller's memory, or a packed copy of it.
struct Bound {
  Bound(const Operand& o, const void* data)
      : operand(o),
        packed(workspace(packed_bytes(o))),
        given(wrap(o.given, data)),
        used(o.reorder ? wrap(o.wanted, packed.raw()) : wrap(o.wanted, data)) {
    if (o.reorder && !o.is_result) o.reorder.execute(stream(), {{DNNL_ARG_FROM, given}, {DNNL_ARG_TO, used}});
  }
  void finish() const {
    if (operand.reorder && operand.is_result)
      operand.reorder.execute(stream(), {{DNNL_ARG_FROM, used}, {DNNL_ARG_TO, given}});
  }

  const Operand& operand;
  Tensor packed;
  memory given, used;
};

dnnl::matmul make_product(const memory::desc& a, const memory::desc& b, const memory::desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul(dnnl::matmul::primitive_desc(engine(), a, b, c));
#else
  return dnnl::matmul(dnnl::matmul::primitive_desc({a, b, c}, engine()));
#endif
}

// Returns true if oneDNN can create the requested primitive. oneDNN throws if the processor or the version does
// not support it.
template <typename Make>
bool can_make(Make&& make) {
  try {
    make();
    return true;
  } catch (const dnnl::error& error) {
    if (lacks_memory(error)) throw OutOfMemory("out of memory: oneDNN cannot create a primitive");
    return false;
  }
}

}  // namespace

bool has_bf16() {
  static const bool has = can_make([] {
    const ConvShape shape{.n = 1,
                          .h = 4,
                          .w = 4,
                          .c = 16,
                          .k = 16,
                          .kh = 3,
                          .kw = 3,
                          .stride = 1,
                          .pad = 1,
                          .out_h = 4,
                          .out_w = 4};
    Convolution key{ConvPass::forward, DType::bf16, DType::bf16, shape};
    for (const ConvPass pass : {ConvPass::forward, ConvPass::backward_data, ConvPass::backward_weight}) {
      key.pass = pass;
      make_plan(key);
    }
    const memory::desc square({16, 16}, memory::data_type::bf16, Tag::ab);
    make_product(square, square, square);
  });
  return has;
}

void convolution(const Convolution& key, const void* x, const void* w, const void* y) {
  const ConvolutionPlan& plan = plan_of(key);
  checked("a convolution", [&] {
    const Tensor scratch = workspace(plan.scratch.get_size());
    const Bound bound[] = {{plan.x, x}, {plan.w, w}, {plan.y, y}};
    plan.primitive.execute(stream(), {{plan.x.role, bound[0].used},
                                      {plan.w.role, bound[1].used},
                                      {plan.y.role, bound[2].used},
                                      {DNNL_ARG_SCRATCHPAD, wrap(plan.scratch, scratch.raw())}});
    for (const Bound& each : bound) each.finish();
    stream().wait();
  });
}

std::size_t convolution_workspace(const Convolution& key) {
  const ConvolutionPlan& plan = plan_of(key);
  return plan.scratch.get_size() + packed_bytes(plan.x) + packed_bytes(plan.w) + packed_bytes(plan.y);
}

bool has_winograd(Convolution key) {
  static std::map<Convolution, bool> known;
  static std::mutex mutex;
  key.algorithm = Algorithm::winograd;
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  try {
    plan_of(key);
    return known[key] = true;
  } catch (const Error& error) {
    if (error.code() != ExitCode::internal) throw;  // there is no memory, or no threads
    return known[key] = false;  // oneDNN's "unimplemented", for unsupported shapes, processors or versions
  }
}

void sgemm(const Product& p, const float* a, const float* b, float* c, const Scales& scales) {
  engine();  // caps the instructions, if this is the first that oneDNN is asked for
  checked("dnnl_sgemm", [&] {
    dnnl::error::wrap_c_api(
        dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, scales.product, a,
                   p.transpose_a ? p.m : p.k, b, p.transpose_b ? p.k : p.n, scales.before, c, p.n),
        "dnnl_sgemm");
  });
}

void bf16_gemm(const Product& p, const BFloat16* a, const BFloat16* b, void* c, DType c_dtype) {
  static std::map<std::pair<Product, DType>, dnnl::matmul> products;
  static std::mutex mutex;
  const auto bf16 = memory::data_type::bf16;
  const memory::desc a_desc({p.m, p.k}, bf16, p.transpose_a ? Tag::ba : Tag::ab);
  const memory::desc b_desc({p.k, p.n}, bf16, p.transpose_b ? Tag::ba : Tag::ab);
  const memory::desc c_desc({p.m, p.n}, type_of(c_dtype), Tag::ab);
  checked("a matrix product", [&] {
    dnnl::matmul product;
    {
      const std::lock_guard lock(mutex);
      dnnl::matmul& cached = products[{p, c_dtype}];
      if (!cached) cached = make_product(a_desc, b_desc, c_desc);
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
