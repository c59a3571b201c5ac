// libkindred_mpi.so: the table of calls.h for the MPI that this file is compiled against.
//
// Links nothing of Kindred. Nobody throws here: errors are codes.
#include <kindred/engine/communicator/transport.h>  // defines: Reduction
#include <kindred/engine/dtype.h>
#include <kindred/third_party/mpi/calls.h>

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace kindred {

struct MpiRequest {
  MPI_Request handle = MPI_REQUEST_NULL;
};

namespace {

MPI_Comm communicators[mpi_channels];
MPI_Op sum_of_bf16, sum_of_f16, max_of_f32, max_of_f64;

MPI_Comm of(MpiChannel channel) {
  return communicators[static_cast<int>(channel)];
}

// Added in float and rounded to nearest, ties to even, after each addition.
template <typename Half>
void add_halves(void* from, void* to, int* count, MPI_Datatype*) {
  const Half* const a = static_cast<const Half*>(from);
  Half* const b = static_cast<Half*>(to);
  for (int i = 0; i < *count; ++i) b[i] = Half(static_cast<float>(a[i]) + static_cast<float>(b[i]));
}

// The larger one, or NaN if one of them is: MPI leaves open what MPI_MAX makes of it.
template <typename T>
void take_larger(void* from, void* to, int* count, MPI_Datatype*) {
  const T* const a = static_cast<const T*>(from);
  T* const b = static_cast<T*>(to);
  for (int i = 0; i < *count; ++i)
    if (a[i] > b[i] || std::isnan(a[i])) b[i] = a[i];
}

// The first error of several calls.
class Errors {
 public:
  void add(int code) {
    if (code_ == MPI_SUCCESS) code_ = code;
  }
  int code() const { return code_; }

 private:
  int code_ = MPI_SUCCESS;
};

const char* library() {
  static char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0;
  if (MPI_Get_library_version(text, &length) != MPI_SUCCESS) text[0] = '\0';
  return text;
}

void error_text(int code, char* text, int capacity) {
  char whole[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  if (MPI_Error_string(code, whole, &length) != MPI_SUCCESS) whole[0] = '\0';
  std::strncpy(text, whole, static_cast<std::size_t>(capacity) - 1);
  text[capacity - 1] = '\0';
}

int open(MpiPlace* place) {
  int threads = 0;
  if (const int code = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &threads)) return code;
  Errors errors;
  errors.add(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
  for (MPI_Comm& communicator : communicators) errors.add(MPI_Comm_dup(MPI_COMM_WORLD, &communicator));
  errors.add(MPI_Comm_rank(MPI_COMM_WORLD, &place->rank));
  errors.add(MPI_Comm_size(MPI_COMM_WORLD, &place->size));
  MPI_Comm local = MPI_COMM_NULL;
  errors.add(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, place->rank, MPI_INFO_NULL, &local));
  if (errors.code() == MPI_SUCCESS) {
    errors.add(MPI_Comm_rank(local, &place->local_rank));
    errors.add(MPI_Comm_size(local, &place->local_size));
    errors.add(MPI_Comm_free(&local));
  }
  constexpr int commutes = 1;
  errors.add(MPI_Op_create(add_halves<BFloat16>, commutes, &sum_of_bf16));
  errors.add(MPI_Op_create(add_halves<Float16>, commutes, &sum_of_f16));
  errors.add(MPI_Op_create(take_larger<float>, commutes, &max_of_f32));
  errors.add(MPI_Op_create(take_larger<double>, commutes, &max_of_f64));
  return errors.code();
}

int close() {
  Errors errors;
  for (MPI_Op* op : {&sum_of_bf16, &sum_of_f16, &max_of_f32, &max_of_f64}) errors.add(MPI_Op_free(op));
  for (MPI_Comm& communicator : communicators) errors.add(MPI_Comm_free(&communicator));
  errors.add(MPI_Finalize());
  return errors.code();
}

void abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int host(char* name, int capacity) {
  char whole[MPI_MAX_PROCESSOR_NAME] = "";
  int length = 0;
  const int code = MPI_Get_processor_name(whole, &length);
  std::strncpy(name, whole, static_cast<std::size_t>(capacity) - 1);
  name[capacity - 1] = '\0';
  return code;
}

struct Arithmetic {
  MPI_Datatype type = MPI_DATATYPE_NULL;
  MPI_Op operation = MPI_OP_NULL;
};

Arithmetic arithmetic_of(DType type, Reduction reduction) {
  const bool is_sum = reduction == Reduction::sum;
  switch (type) {
    case DType::f32:
      return {MPI_FLOAT, is_sum ? MPI_SUM : max_of_f32};
    case DType::f64:
      return {MPI_DOUBLE, is_sum ? MPI_SUM : max_of_f64};
    case DType::i32:
      return {MPI_INT32_T, is_sum ? MPI_SUM : MPI_MAX};
    case DType::bf16:
      return {MPI_UINT16_T, is_sum ? sum_of_bf16 : MPI_OP_NULL};
    case DType::f16:
      return {MPI_UINT16_T, is_sum ? sum_of_f16 : MPI_OP_NULL};
    case DType::u8:
      break;
  }
  return {};
}

// Gives the caller the request only if the call has begun.
template <typename Begin>
int started(MpiRequest** request, const Begin& begin) {
  auto* const made = new (std::nothrow) MpiRequest;
  if (made == nullptr) return MPI_ERR_NO_MEM;
  const int code = begin(&made->handle);
  if (code != MPI_SUCCESS)
    delete made;
  else
    *request = made;
  return code;
}

int all_reduce(MpiChannel channel, const void* from, void* data, int count, int type, int reduction,
               MpiRequest** request) {
  const Arithmetic arithmetic = arithmetic_of(static_cast<DType>(type), static_cast<Reduction>(reduction));
  if (arithmetic.operation == MPI_OP_NULL) return MPI_ERR_OP;
  return started(request, [&](MPI_Request* handle) {
    return MPI_Iallreduce(from == nullptr ? MPI_IN_PLACE : from, data, count, arithmetic.type,
                          arithmetic.operation, of(channel), handle);
  });
}

int all_gather(MpiChannel channel, const void* from, void* to, int bytes, MpiRequest** request) {
  return started(request, [&](MPI_Request* handle) {
    if (from == nullptr)
      return MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, to, bytes, MPI_BYTE, of(channel), handle);
    return MPI_Iallgather(from, bytes, MPI_BYTE, to, bytes, MPI_BYTE, of(channel), handle);
  });
}

int broadcast(MpiChannel channel, void* data, int bytes, int root, MpiRequest** request) {
  return started(request, [&](MPI_Request* handle) {
    return MPI_Ibcast(data, bytes, MPI_BYTE, root, of(channel), handle);
  });
}

int send(const void* data, int bytes, int rank, int tag, MpiRequest** request) {
  return started(request, [&](MPI_Request* handle) {
    return MPI_Isend(data, bytes, MPI_BYTE, rank, tag, of(MpiChannel::messages), handle);
  });
}

int find(int* found, int* rank, int* tag, int* bytes) {
  MPI_Status status;
  const int code = MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, of(MpiChannel::messages), found, &status);
  if (code != MPI_SUCCESS || !*found) return code;
  *rank = status.MPI_SOURCE;
  *tag = status.MPI_TAG;
  return MPI_Get_count(&status, MPI_BYTE, bytes);
}

int receive(void* data, int bytes, int rank, int tag) {
  return MPI_Recv(data, bytes, MPI_BYTE, rank, tag, of(MpiChannel::messages), MPI_STATUS_IGNORE);
}

int test(MpiRequest* request, int* done) {
  const int code = MPI_Test(&request->handle, done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS || *done) delete request;
  return code;
}

}  // namespace
}  // namespace kindred

extern "C" const kindred::MpiCalls kindred_mpi_calls = {
    .version = kindred::mpi_calls_version,
    .library = kindred::library,
    .error_text = kindred::error_text,
    .open = kindred::open,
    .close = kindred::close,
    .abort = kindred::abort,
    .host = kindred::host,
    .all_reduce = kindred::all_reduce,
    .all_gather = kindred::all_gather,
    .broadcast = kindred::broadcast,
    .send = kindred::send,
    .find = kindred::find,
    .receive = kindred::receive,
    .test = kindred::test,
};
