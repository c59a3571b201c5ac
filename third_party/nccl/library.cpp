// NVIDIA's NCCL, opened at run time.
//
// Its communicators are blocking ones: a call returns when its work is in the stream. Non-blocking ones would let the host
// leave a call that hangs, but each of their calls starts a thread, and NCCL 2.26 hung in them now and then
// (PyTorch gave them up as its default for that reason).
#include <kindred/engine/cuda/stream.h>
#include <kindred/engine/error.h>
#include <kindred/third_party/nccl/calls.h>
#include <kindred/third_party/search/dynamic_library.h>
#include <kindred/third_party/search/nvidia_versions.h>

#include <nccl.h>

#include <cstdlib>
#include <cstring>

namespace kindred::nccl {
namespace {

// The first version that can put the calls of several communicators in one order (NCCL_LAUNCH_ORDER_IMPLICIT). Without it
// a sum on one stream and a gather on another could wait for each other for ever, on GPUs that start them in different
// orders.
constexpr int least_version = NCCL_VERSION(2, 26, 0);

struct Opened {
  DynamicLibrary library{{"libnccl.so.2"}, SearchEnvironment::of_process()};
  std::string missing;  // why it cannot be used; "" if it can
  int version = 0;
};

Opened open_nccl_library() {
  // NCCL reads it when it is first called. Whoever has set it means it. At this time the program has no other threads that
  // read the environment.
  ::setenv("NCCL_LAUNCH_ORDER_IMPLICIT", "1", 0);
  Opened opened;
  const DynamicLibrary& from = opened.library;
  const std::string package = nvidia::nccl_package(CUDART_VERSION);
  if (!from.is_open()) {
    opened.missing = fmt::format("NCCL is missing ({}); pip install {}, or name its folder in LD_LIBRARY_PATH",
                                 from.problem(), package);
    return opened;
  }
  decltype(&::ncclGetVersion) version = nullptr;
  from.load(version, "ncclGetVersion");
  version(&opened.version);
  if (opened.version < least_version)
    opened.missing = fmt::format("NCCL {} in {} is too old; {} is needed; pip install {}",
                                 nvidia::version_text(static_cast<std::size_t>(opened.version)),
                                 from.path().parent_path().string(),
                                 nvidia::version_text(static_cast<std::size_t>(least_version)), package);
  return opened;
}

const Opened& opened() {
  static const auto& only = *new Opened(open_nccl_library());
  return only;
}

struct Library {
  decltype(&::ncclGetErrorString) error_string;
  decltype(&::ncclGetLastError) last_error;
  decltype(&::ncclGetUniqueId) get_unique_id;
  decltype(&::ncclCommInitRank) init_rank;
  decltype(&::ncclCommSplit) split;
  decltype(&::ncclCommGetAsyncError) get_async_error;
  decltype(&::ncclCommAbort) abort;
  decltype(&::ncclCommDestroy) destroy;
  decltype(&::ncclAllReduce) all_reduce;
  decltype(&::ncclAllGather) all_gather;
  decltype(&::ncclBroadcast) broadcast;
  decltype(&::ncclGroupStart) group_start;
  decltype(&::ncclGroupEnd) group_end;
};

Library load_library() {
  check(opened().missing.empty(), ExitCode::device, Cause::missing_library, "{}", opened().missing);
  const DynamicLibrary& from = opened().library;
  Library l{};
  from.load(l.error_string, "ncclGetErrorString");
  from.load(l.last_error, "ncclGetLastError");
  from.load(l.get_unique_id, "ncclGetUniqueId");
  from.load(l.init_rank, "ncclCommInitRank");
  from.load(l.split, "ncclCommSplit");
  from.load(l.get_async_error, "ncclCommGetAsyncError");
  from.load(l.abort, "ncclCommAbort");
  from.load(l.destroy, "ncclCommDestroy");
  from.load(l.all_reduce, "ncclAllReduce");
  from.load(l.all_gather, "ncclAllGather");
  from.load(l.broadcast, "ncclBroadcast");
  from.load(l.group_start, "ncclGroupStart");
  from.load(l.group_end, "ncclGroupEnd");
  return l;
}

const Library& library() {
  static const Library loaded = load_library();
  return loaded;
}

// The first line of NCCL's words: errors are one line.
std::string text_of(ncclResult_t status, ncclComm_t communicator) {
  std::string text = library().error_string(status);
  if (const char* detail = library().last_error(communicator); detail != nullptr && *detail != '\0')
    text += fmt::format(": {}", std::string_view(detail).substr(0, std::strcspn(detail, "\n")));
  return text;
}

// Errors that another process may have caused, by its end or because it cannot be reached.
bool is_of_others(ncclResult_t status) {
  return status == ncclRemoteError || status == ncclSystemError;
}

void check_status(ncclResult_t status, const char* call, ncclComm_t communicator = nullptr) {
  if (status == ncclSuccess) return;
  cudaGetLastError();  // if CUDA refused something in there, the next kernel must not report it
  fail(is_of_others(status) ? ExitCode::lost : ExitCode::device, "NCCL: {} failed: {}", call,
       text_of(status, communicator));
}

ncclDataType_t type_of(DType type) {
  switch (type) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f16:
      return ncclFloat16;
    case DType::i32:
      return ncclInt32;
    case DType::u8:
      break;
  }
  fail(ExitCode::internal, "NCCL was asked to add {} tensors", name(type));
}

cudaStream_t stream_of(GpuStream stream) {
  check(stream != GpuStream::copy, ExitCode::internal, "NCCL was given the copies' stream");
  return stream == GpuStream::compute ? cuda::stream() : cuda::communicate_stream();
}

Id make_id() {
  ncclUniqueId made;
  static_assert(sizeof made.internal == sizeof(Id));
  check_status(library().get_unique_id(&made), "ncclGetUniqueId");
  Id id;
  std::memcpy(id.data(), made.internal, id.size());
  return id;
}

ncclComm* join(const Id& id, int rank, int size) {
  ncclUniqueId given;
  std::memcpy(given.internal, id.data(), id.size());
  ncclComm_t communicator = nullptr;
  check_status(library().init_rank(&communicator, size, given, rank), "ncclCommInitRank");
  return communicator;
}

ncclComm* split(ncclComm* communicator) {
  ncclComm_t made = nullptr;
  // Keys order the ranks; equal ones keep their order. Without a config it is one like the first.
  check_status(library().split(communicator, 0, 0, &made, nullptr), "ncclCommSplit", communicator);
  return made;
}

std::string problem(ncclComm* communicator) {
  ncclResult_t status = ncclSuccess;
  const ncclResult_t asked = library().get_async_error(communicator, &status);
  if (asked != ncclSuccess) status = asked;
  return status == ncclSuccess || status == ncclInProgress ? "" : text_of(status, communicator);
}

void all_reduce(void* data, std::int64_t count, DType type, Reduction reduction, ncclComm* communicator,
                GpuStream stream) {
  check_status(
      library().all_reduce(data, data, static_cast<std::size_t>(count), type_of(type),
                           reduction == Reduction::sum ? ncclSum : ncclMax, communicator, stream_of(stream)),
      "ncclAllReduce", communicator);
}

void all_gather(const void* from, void* to, std::size_t bytes, ncclComm* communicator, GpuStream stream) {
  check_status(library().all_gather(from, to, bytes, ncclUint8, communicator, stream_of(stream)),
               "ncclAllGather", communicator);
}

void broadcast(void* data, std::size_t bytes, int root, ncclComm* communicator, GpuStream stream) {
  check_status(library().broadcast(data, data, bytes, ncclUint8, root, communicator, stream_of(stream)),
               "ncclBroadcast", communicator);
}

const Calls calls = {
    [] { return opened().missing; },
    [] {
      if (!opened().missing.empty()) return opened().missing;
      return fmt::format("NCCL {} in {}", nvidia::version_text(static_cast<std::size_t>(opened().version)),
                         opened().library.path().parent_path().string());
    },
    [] { return nvidia::version_text(static_cast<std::size_t>(opened().version)); },
    make_id,
    join,
    split,
    problem,
    [](ncclComm* communicator) { check_status(library().abort(communicator), "ncclCommAbort"); },
    [](ncclComm* communicator) { check_status(library().destroy(communicator), "ncclCommDestroy"); },
    all_reduce,
    all_gather,
    broadcast,
    [] { check_status(library().group_start(), "ncclGroupStart"); },
    [] { check_status(library().group_end(), "ncclGroupEnd"); },
};

}  // namespace

const Calls* const calls_of_cuda = &calls;

}  // namespace kindred::nccl
