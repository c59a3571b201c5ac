// cuBLASLt is column-major: to it, a row-major matrix is its own transpose. So it is asked to compute c^T =
// op(b)^T op(a)^T, and its first operand is our b.
#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/plan_book.h>
#include <kindred/third_party/alignment.h>
#include <kindred/third_party/cublaslt/cublaslt.h>
#include <kindred/third_party/search/dynamic_library.h>
#include <kindred/third_party/search/nvidia_versions.h>
#include <kindred/third_party/timing/fastest.h>
#include <kindred/third_party/timing/gpu_timing.h>

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

namespace kindred::cublaslt {
namespace {

struct Library {
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtGetVersion) version;
  decltype(&::cublasLtMatmulDescCreate) create_product;
  decltype(&::cublasLtMatmulDescDestroy) destroy_product;
  decltype(&::cublasLtMatmulDescSetAttribute) set_product;
  decltype(&::cublasLtMatrixLayoutCreate) create_layout;
  decltype(&::cublasLtMatrixLayoutDestroy) destroy_layout;
  decltype(&::cublasLtMatmulPreferenceCreate) create_preference;
  decltype(&::cublasLtMatmulPreferenceDestroy) destroy_preference;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) set_preference;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&::cublasLtMatmulAlgoCheck) check_algorithm;
  decltype(&::cublasLtMatmul) multiply;
  cublasLtHandle_t handle;
};

struct Opened {
  DynamicLibrary library;
  std::string missing;  // why it cannot be used; "" if it can
  std::size_t version = 0;
};

// The name for this build's CUDA version comes first. The functions that are called here are the same in both.
// The driver must support the CUDA version of the opened library.
std::vector<std::string> names_for(int driver) {
  std::vector<std::string> names;
  for (const int cuda : {CUDART_VERSION / 1000, 13, 12})
    if (driver == 0 || cuda <= driver / 1000) names.push_back(fmt::format("libcublasLt.so.{}", cuda));
  return names;
}

Opened open_cublaslt() {
  int driver = 0;  // 0 if there is none
  cudaDriverGetVersion(&driver);
  Opened opened{{names_for(driver), SearchEnvironment::of_process()}, "", 0};
  const DynamicLibrary& from = opened.library;
  if (!from.is_open()) {
    opened.missing =
        fmt::format("cuBLASLt is missing ({}); pip install {}, or name its folder in LD_LIBRARY_PATH",
                    from.problem(), nvidia::cublas_package(CUDART_VERSION));
    return opened;
  }
  decltype(&::cublasLtGetVersion) version = nullptr;
  decltype(&::cublasLtGetCudartVersion) cuda = nullptr;
  from.load(version, "cublasLtGetVersion");
  from.load(cuda, "cublasLtGetCudartVersion");
  opened.version = version();
  opened.missing = nvidia::why_too_new(fmt::format("cuBLASLt {} in {}", nvidia::version_text(opened.version),
                                                   from.path().parent_path().string()),
                                       static_cast<int>(cuda()), driver, nvidia::cublas_package(driver));
  return opened;
}

const Opened& opened() {
  static const auto& only = *new Opened(open_cublaslt());
  return only;
}

void check_status(cublasStatus_t status, const char* call) {
  check(status == CUBLAS_STATUS_SUCCESS, ExitCode::device, "cuBLASLt: {} failed with status {}", call,
        static_cast<int>(status));
}

Library open_library() {
  check(opened().missing.empty(), ExitCode::device, "{}", opened().missing);
  const DynamicLibrary& from = opened().library;
  Library l{};
  from.load(l.create, "cublasLtCreate");
  from.load(l.version, "cublasLtGetVersion");
  from.load(l.create_product, "cublasLtMatmulDescCreate");
  from.load(l.destroy_product, "cublasLtMatmulDescDestroy");
  from.load(l.set_product, "cublasLtMatmulDescSetAttribute");
  from.load(l.create_layout, "cublasLtMatrixLayoutCreate");
  from.load(l.destroy_layout, "cublasLtMatrixLayoutDestroy");
  from.load(l.create_preference, "cublasLtMatmulPreferenceCreate");
  from.load(l.destroy_preference, "cublasLtMatmulPreferenceDestroy");
  from.load(l.set_preference, "cublasLtMatmulPreferenceSetAttribute");
  from.load(l.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  from.load(l.check_algorithm, "cublasLtMatmulAlgoCheck");
  from.load(l.multiply, "cublasLtMatmul");
  check_status(l.create(&l.handle), "cublasLtCreate");
  return l;
}

const Library& library() {
  static const Library opened = open_library();
  return opened;
}

cudaDataType_t type_of(DType dtype) {
  if (dtype == DType::bf16) return CUDA_R_16BF;
  if (dtype == DType::f16) return CUDA_R_16F;
  check(dtype == DType::f32, ExitCode::internal, "cuBLASLt is not used for {}", name(dtype));
  return CUDA_R_32F;
}

constexpr std::uint64_t largest_workspace = std::uint64_t{32} << 20;  // Hopper's kernels may need this much

class Layout {
 public:
  // `rows` rows of `columns` elements each, in our row-major terms.
  Layout(DType dtype, std::int64_t rows, std::int64_t columns) {
    check_status(library().create_layout(&raw_, type_of(dtype), static_cast<std::uint64_t>(columns),
                                         static_cast<std::uint64_t>(rows), columns),
                 "describing a matrix");
  }
  ~Layout() {
    if (raw_ != nullptr) library().destroy_layout(raw_);
  }
  Layout(Layout&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
  Layout& operator=(Layout&&) = delete;
  cublasLtMatrixLayout_t raw() const { return raw_; }

 private:
  cublasLtMatrixLayout_t raw_ = nullptr;
};

// The descriptors of one key, and the algorithm when it has been chosen.
class Product {
 public:
  Product(const ProductKey& key, bool allow_tf32)
      : a_(key.type, key.transpose_a ? key.k : key.m, key.transpose_a ? key.m : key.k),
        b_(key.type, key.transpose_b ? key.n : key.k, key.transpose_b ? key.k : key.n),
        c_(key.result, key.m, key.n) {
    const bool tf32 = allow_tf32 && key.type == DType::f32;
    check_status(
        library().create_product(&raw_, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "describing a product");
    const auto operation = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
    set(CUBLASLT_MATMUL_DESC_TRANSA, operation(key.transpose_b));
    set(CUBLASLT_MATMUL_DESC_TRANSB, operation(key.transpose_a));
    static constexpr cublasLtEpilogue_t epilogues[] = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS,
                                                       CUBLASLT_EPILOGUE_BGRADB};
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogues[static_cast<std::size_t>(key.epilogue)]);
  }
  ~Product() {
    if (raw_ != nullptr) library().destroy_product(raw_);
  }
  Product(Product&& other) noexcept
      : a_(std::move(other.a_)),
        b_(std::move(other.b_)),
        c_(std::move(other.c_)),
        raw_(std::exchange(other.raw_, nullptr)),
        algorithm_(other.algorithm_),
        workspace_(other.workspace_) {}
  Product& operator=(Product&&) = delete;

  void set_vector(void* vector) {
    if (vector != nullptr) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, vector);
  }

  // The library's suggestions, with its best guess first.
  std::vector<cublasLtMatmulHeuristicResult_t> candidates(int alignment) const {
    constexpr int most = 16;
    const std::uint64_t workspace = largest_workspace;
    // Partial sums must be f32 or absent, because 16 bits would lose the precision that masters are kept for.
    const std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    const auto bytes = static_cast<std::uint32_t>(alignment);
    cublasLtMatmulPreference_t preference = nullptr;
    check_status(library().create_preference(&preference), "describing a preference");
    library().set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                             sizeof workspace);
    library().set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                             sizeof reductions);
    for (const auto attribute :
         {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
          CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
      library().set_preference(preference, attribute, &bytes, sizeof bytes);
    std::vector<cublasLtMatmulHeuristicResult_t> found(most);
    int count = 0;
    const cublasStatus_t status = library().heuristic(library().handle, raw_, b_.raw(), a_.raw(), c_.raw(),
                                                      c_.raw(), preference, most, found.data(), &count);
    library().destroy_preference(preference);
    found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<std::size_t>(count) : 0);
    std::erase_if(found, [](const auto& each) { return each.state != CUBLAS_STATUS_SUCCESS; });
    return found;
  }

  // Returns true if the algorithm, which may come from a file, can compute this product.
  bool take(const cublasLtMatmulAlgo_t& algorithm) {
    cublasLtMatmulHeuristicResult_t result{};
    if (library().check_algorithm(library().handle, raw_, b_.raw(), a_.raw(), c_.raw(), c_.raw(), &algorithm,
                                  &result) != CUBLAS_STATUS_SUCCESS ||
        result.state != CUBLAS_STATUS_SUCCESS || result.workspaceSize > largest_workspace)
      return false;
    algorithm_ = algorithm;
    workspace_ = result.workspaceSize;
    return true;
  }
  const cublasLtMatmulAlgo_t& algorithm() const { return algorithm_; }

  cublasStatus_t start(const void* a, const void* b, void* c) const {
    const float one = 1, zero = 0;
    const Tensor workspace = Tensor::empty({static_cast<std::int64_t>(workspace_)}, DType::u8, Device::cuda);
    return library().multiply(library().handle, raw_, &one, b, b_.raw(), a, a_.raw(), &zero, c, c_.raw(), c,
                              c_.raw(), &algorithm_, workspace.raw(), workspace_, cuda::stream());
  }

 private:
  template <typename T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check_status(library().set_product(raw_, attribute, &value, sizeof value), "setting an attribute");
  }

  Layout a_, b_, c_;
  cublasLtMatmulDesc_t raw_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  std::size_t workspace_ = 0;
};

// The numbers that make up an algorithm. Only the same version of the library can interpret them, so the
// version is part of the key under which they are stored.
std::string to_text(const cublasLtMatmulAlgo_t& algorithm) {
  std::string text;
  for (const std::uint64_t word : algorithm.data) text += fmt::format("{:016x} ", word);
  return text;
}

std::optional<cublasLtMatmulAlgo_t> from_text(const std::string& text) {
  std::istringstream in(text);
  cublasLtMatmulAlgo_t algorithm{};
  for (std::uint64_t& word : algorithm.data)
    if (!(in >> std::hex >> word)) return std::nullopt;
  return algorithm;
}

std::int64_t elements_of_vector(const ProductKey& key) {
  return key.epilogue == Epilogue::row_sums_of_a ? key.m : key.n;
}

// The operands and results of one product, in scratch memory.
struct Scratch {
  explicit Scratch(const ProductKey& key)
      : a(memory.random(key.m * key.k, key.type)),
        b(memory.random(key.k * key.n, key.type)),
        c(memory.random(key.m * key.n, key.result)),
        vector(memory.random(elements_of_vector(key), key.result)) {}
  cuda::ScratchMemory memory;
  Tensor a, b, c, vector;
};

// Returns the fastest algorithm, or nullopt if there is none. Waits for the GPU. `vector` is what the epilogue
// will be given.
std::optional<Product> choose(const ProductKey& key, const PlanRules& rules, const std::string& saved_under,
                              void* vector) {
  std::optional<Product> product(std::in_place, key, rules.allow_tf32);
  product->set_vector(vector);
  if (const auto saved = plan_book().find(saved_under))
    if (const auto algorithm = from_text(*saved); algorithm && product->take(*algorithm)) return product;

  std::vector<cublasLtMatmulHeuristicResult_t> candidates = product->candidates(key.alignment);
  std::erase_if(candidates, [&](const auto& each) { return !product->take(each.algo); });
  const auto make_scratch = [&] {
    auto scratch = std::make_unique<Scratch>(key);
    if (key.epilogue != Epilogue::none) product->set_vector(scratch->vector.raw());
    return scratch;
  };
  const auto time_of = [&](const auto& scratch, std::size_t i) -> std::optional<float> {
    product->take(candidates[i].algo);
    const auto run = [&] { return product->start(scratch->a.raw(), scratch->b.raw(), scratch->c.raw()); };
    if (run() != CUBLAS_STATUS_SUCCESS) return {};
    return cuda::time_on_gpu([&] { check_status(run(), "cublasLtMatmul"); });
  };
  const std::optional<Fastest> best = fastest_of(candidates.size(), make_scratch, time_of);
  if (!best || !product->take(candidates[best->index].algo)) return std::nullopt;
  if (best->timed) plan_book().remember(saved_under, to_text(product->algorithm()));
  return product;
}

}  // namespace

std::string ProductKey::to_string() const {
  static constexpr const char* epilogues[] = {"", ", bias", ", row sums of a"};
  return fmt::format("{}{} {}x{}x{}{}{}{}, alignment {}", name(type),
                     type == result ? "" : fmt::format(" to {}", name(result)), m, n, k,
                     transpose_a ? ", a transposed" : "", transpose_b ? ", b transposed" : "",
                     epilogues[static_cast<std::size_t>(epilogue)], alignment);
}

bool multiply(const ProductKey& shape, const void* a, const void* b, void* c, void* vector) {
  if (shape.m == 0 || shape.n == 0 || shape.k == 0) return false;
  static std::mutex mutex;
  static auto& products = *new std::map<ProductKey, std::optional<Product>>;  // leaked: cuBLASLt may end first
  static std::uint64_t edition = 0;
  const std::lock_guard lock(mutex);
  if (edition != plan_book().edition()) products.clear();
  edition = plan_book().edition();

  ProductKey key = shape;
  key.alignment = alignment_of({a, b, c, vector});
  auto found = products.find(key);
  if (found == products.end()) {
    const std::string saved_under = fmt::format("cuBLASLt {}: {}", library().version(), key.to_string());
    found = products.emplace(key, choose(key, plan_book().rules(), saved_under, vector)).first;
  }
  if (!found->second) return false;
  found->second->set_vector(vector);
  check_status(found->second->start(a, b, c), "cublasLtMatmul");
  return true;
}

std::string why_missing() {
  return opened().missing;
}

std::string where() {
  if (!opened().missing.empty()) return opened().missing;
  return fmt::format("cuBLASLt {} in {}", nvidia::version_text(opened().version),
                     opened().library.path().parent_path().string());
}

}  // namespace kindred::cublaslt
