// Memory, copies and the probe of a GPU.
#include <kindred/engine/cuda/elements.h>
#include <kindred/engine/cuda/gpu_libraries.h>
#include <kindred/engine/cuda/launch.h>
#include <kindred/engine/device_kernels.h>

#include <sched.h>  // defines: sched_yield

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <utility>

namespace kindred {
namespace cuda {

void check_status(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // clears an error that is not sticky
  fail(ExitCode::device, "CUDA: {} failed: {}", call, cudaGetErrorString(status));
}

cudaStream_t stream() {
  static cudaStream_t compute = [] {
    cudaStream_t made;
    check_status(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "cudaStreamCreate");
    return made;
  }();
  return compute;
}

cudaStream_t communicate_stream() {
  // First in line for the GPU's multiprocessors: other GPUs wait for what it sends, and it needs few of them.
  static cudaStream_t made = [] {
    int least = 0, greatest = 0;
    check_status(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    cudaStream_t stream;
    check_status(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, greatest),
                 "cudaStreamCreateWithPriority");
    return stream;
  }();
  return made;
}

}  // namespace cuda
namespace {

using cuda::check_status;

// Code for one architecture does not run on another. This kernel tests whether ours runs.
__global__ void probe_kernel(int* answer) {
  *answer = 42;
}

GpuProbe probe() {
  GpuFacts facts;
  cudaDriverGetVersion(&facts.driver);  // sets 0 if there is no driver
  cudaRuntimeGetVersion(&facts.runtime);
  const cudaError_t counted = cudaGetDeviceCount(&facts.count);
  facts.driver_too_old = counted == cudaErrorInsufficientDriver;
  if (counted != cudaSuccess && counted != cudaErrorNoDevice) facts.error = cudaGetErrorString(counted);
  GpuProbe result;
  if (counted == cudaSuccess && facts.count > 0) {
    cudaDeviceProp properties;
    check_status(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    facts.gpu = properties.name;
    facts.major = properties.major;
    facts.minor = properties.minor;
    cudaFuncAttributes attributes;
    facts.has_code = cudaFuncGetAttributes(&attributes, probe_kernel) == cudaSuccess;
    facts.missing_library = missing_gpu_library();
    result.memory = properties.totalGlobalMem;
    result.multiprocessors = properties.multiProcessorCount;
  }
  cudaGetLastError();  // clears these failures, so that no later call reports them
  result.problem = why_unusable(facts);
  result.usable = result.problem.empty();
  if (result.usable)
    result.name = fmt::format("{}, driver for CUDA {}", facts.gpu, cuda_version_text(facts.driver));
  return result;
}

// While one of these exists, this thread may make calls that are not part of its recording. A recording may
// need one slab more than the step that ran before it, whose results are still held. If there is no memory for
// it, the error must be reported as usual.
class BesideTheRecording {
 public:
  BesideTheRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  ~BesideTheRecording() { cudaThreadExchangeStreamCaptureMode(&mode_); }
  BesideTheRecording(const BesideTheRecording&) = delete;
  BesideTheRecording& operator=(const BesideTheRecording&) = delete;

 private:
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

std::byte* acquire(std::size_t bytes) {
  const BesideTheRecording scope;
  void* address = nullptr;
  const cudaError_t status = cudaMalloc(&address, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check_status(status, "cudaMalloc");
  return static_cast<std::byte*>(address);
}

// For destructors, which cannot report an error. A sticky error is returned again by the next call. Any other
// error is cleared, so that it is not taken for an error of the next kernel.
void forget(cudaError_t status) {
  if (status != cudaSuccess) cudaGetLastError();
}

void release(std::byte* address) {
  forget(cudaFree(address));
}

void free_and_total(std::size_t& free, std::size_t& total) {
  const BesideTheRecording scope;
  check_status(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
}

// ---- waiting, and looking meanwhile

using Look = std::function<void(double seconds)>;

// A replaced function is never destroyed: another thread may be calling it.
std::atomic<const Look*> look_of_waits{nullptr};

void watch_waits(Look look) {
  look_of_waits = look ? new Look(std::move(look)) : nullptr;
}

// Waits until query() no longer says that the work goes on. Calls `look` every 10 ms.
template <typename Query>
void wait_and_look(const Look& look, Query query) {
  using Clock = std::chrono::steady_clock;
  using std::chrono::microseconds;
  const Clock::time_point begun = Clock::now();
  Clock::time_point looked = begun;
  for (;;) {
    const cudaError_t status = query();
    if (status != cudaErrorNotReady) return check_status(status, "a kernel");
    cudaGetLastError();  // or the launch of the next kernel would report "not ready" as its error
    const Clock::time_point now = Clock::now();
    if (now - looked > microseconds(10000)) {
      looked = now;
      look(std::chrono::duration<double>(now - begun).count());
    }
    if (now - begun < microseconds(500))
      sched_yield();
    else
      std::this_thread::sleep_for(microseconds(20));
  }
}

void synchronize() {
  if (const Look* look = look_of_waits)
    return wait_and_look(*look, [] { return cudaStreamQuery(cuda::stream()); });
  check_status(cudaStreamSynchronize(cuda::stream()), "a kernel");
}

// A copy of unpinned memory waits for the stream within the driver, where nothing looks: so the wait comes before it.
void wait_before_copy() {
  if (look_of_waits.load() != nullptr) synchronize();
}

void upload(const void* host, void* device, std::size_t bytes) {
  wait_before_copy();
  check_status(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda::stream()), "cudaMemcpy");
  synchronize();
}

void download(const void* device, void* host, std::size_t bytes) {
  wait_before_copy();
  check_status(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda::stream()), "cudaMemcpy");
  synchronize();
}

void set_bytes(void* device, int value, std::size_t bytes) {
  check_status(cudaMemsetAsync(device, value, bytes, cuda::stream()), "cudaMemset");
}

// ---- copies that overlap with computation, and recordings of computation

cudaStream_t copy_stream() {
  static cudaStream_t made = [] {
    cudaStream_t stream;
    check_status(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return stream;
  }();
  return made;
}

thread_local bool is_recording = false;

bool is_recorded(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_status(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status == cudaStreamCaptureStatusActive;
}

// CUDA would execute work of a stream that is not part of the recording at once, without recording it.
cudaStream_t stream_of(GpuStream stream) {
  if (stream == GpuStream::compute) return cuda::stream();
  if (stream == GpuStream::copy) {
    check(!is_recording, ExitCode::internal,
          "in a recording, the copies' stream was used, of which nothing is recorded");
    return copy_stream();
  }
  check(
      !is_recording || is_recorded(cuda::communicate_stream()), ExitCode::internal,
      "in a recording, the communication's stream was used before it had waited for an event of the recording");
  return cuda::communicate_stream();
}

void* acquire_pinned(std::size_t bytes) {
  void* address = nullptr;
  check_status(cudaMallocHost(&address, bytes), "cudaMallocHost");
  return address;
}

void release_pinned(void* address) {
  forget(cudaFreeHost(address));
}

void copy_bytes(const void* from, void* to, std::size_t bytes, GpuStream stream) {
  check_status(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_of(stream)), "cudaMemcpyAsync");
}

void* make_event() {
  cudaEvent_t event;
  check_status(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}

void destroy_event(void* event) {
  forget(cudaEventDestroy(static_cast<cudaEvent_t>(event)));
}

void mark(void* event, GpuStream stream) {
  check_status(cudaEventRecord(static_cast<cudaEvent_t>(event), stream_of(stream)), "cudaEventRecord");
}

void wait_on_gpu(void* event, GpuStream stream) {
  // By waiting for an event of a recording, the communication's stream becomes part of it.
  const cudaStream_t waiting =
      stream == GpuStream::communicate ? cuda::communicate_stream() : stream_of(stream);
  check_status(cudaStreamWaitEvent(waiting, static_cast<cudaEvent_t>(event), 0), "cudaStreamWaitEvent");
}

void wait_on_host(void* event) {
  const auto awaited = static_cast<cudaEvent_t>(event);
  if (const Look* look = look_of_waits)
    return wait_and_look(*look, [awaited] { return cudaEventQuery(awaited); });
  check_status(cudaEventSynchronize(awaited), "a kernel");
}

float milliseconds_between(void* start, void* end) {
  float milliseconds = 0;
  check_status(
      cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(start), static_cast<cudaEvent_t>(end)),
      "cudaEventElapsedTime");
  return milliseconds;
}

// Only this thread is restricted to calls that a recording can hold, because other threads load images
// meanwhile.
void begin_recording() {
  check_status(cudaStreamBeginCapture(cuda::stream(), cudaStreamCaptureModeThreadLocal),
               "cudaStreamBeginCapture");
  is_recording = true;
}

void* end_recording() {
  is_recording = false;
  cudaGraph_t graph = nullptr;
  check_status(cudaStreamEndCapture(cuda::stream(), &graph), "cudaStreamEndCapture");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  forget(cudaGraphDestroy(graph));
  check_status(status, "cudaGraphInstantiate");
  return executable;
}

void replay(void* recording) {
  check_status(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recording), cuda::stream()), "cudaGraphLaunch");
}

void destroy_recording(void* recording) {
  forget(cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(recording)));
}

}  // namespace

// clang-format off
static const DeviceKernels kernels = {
    probe,           acquire,        release,        free_and_total,    upload,
    download,        set_bytes,      cuda::fill,     cuda::convert,     cuda::randomize,
    synchronize,     acquire_pinned, release_pinned, copy_bytes,        make_event,
    destroy_event,   mark,           wait_on_gpu,    wait_on_host,      milliseconds_between,
    begin_recording, end_recording,  replay,         destroy_recording, watch_waits,
    nullptr,         gpu_libraries,  gpu_libraries_of_many};
// clang-format on
const DeviceKernels* const device_cuda = &kernels;

}  // namespace kindred
