// The calls of MPI that Kindred makes, as a table over plain types.
//
// The types behind MPI's handles and the numbers behind its constants belong to its make: a program that is compiled for
// Open MPI cannot call MPICH. So only one small shared library, libkindred_mpi.so, is compiled against mpi.h
// (mpi_module.cpp), and the program opens it when a run has more than one process (mpi_library.h). The module only passes
// calls on; everything that thinks is in mpi_transport.cpp.
//
// Every call except abort() and those about texts returns 0, or MPI's error code, for error_text().
#pragma once

#include <cstdint>

namespace kindred {

// A call that goes on while the program does something else. It ends in test(), which then frees it.
struct MpiRequest;

// Each is a communicator of its own, so the calls on one need not be in order with those on another.
enum class MpiChannel : int { calls, sums, messages };
inline constexpr int mpi_channels = 3;

struct MpiPlace {
  int rank, size;
  int local_rank, local_size;  // among the processes that share this machine's memory
};

struct MpiCalls {
  int version;  // mpi_calls_version of the module

  // May be called before open().
  const char* (*library)();                                // MPI's own words: "Open MPI v4.1.4, package: ..."
  void (*error_text)(int code, char* text, int capacity);  // ends with a zero

  int (*open)(MpiPlace* place);  // by the main thread, which makes all other calls too
  int (*close)();
  void (*abort)(int exit_code);  // ends all processes of the run

  // The machine's name, at most `capacity` bytes with the zero at its end.
  int (*host)(char* name, int capacity);

  // Collective; in place. `type` is a DType, `reduction` a Reduction. With `from`, that is what this process gives: some
  // algorithms of MPI need it.
  int (*all_reduce)(MpiChannel channel, const void* from, void* data, int count, int type, int reduction,
                    MpiRequest** request);
  // `from` is null if this process's part is in its place in `to`.
  int (*all_gather)(MpiChannel channel, const void* from, void* to, int bytes, MpiRequest** request);
  int (*broadcast)(MpiChannel channel, void* data, int bytes, int root, MpiRequest** request);

  // Between two processes, on MpiChannel::messages.
  int (*send)(const void* data, int bytes, int rank, int tag, MpiRequest** request);
  int (*find)(int* found, int* rank, int* tag, int* bytes);  // whether a message is there; does not wait
  int (*receive)(void* data, int bytes, int rank, int tag);  // of a message that was found

  int (*test)(MpiRequest* request, int* done);  // also lets all other calls go on
};

// To be raised with each change of the table.
inline constexpr int mpi_calls_version = 1;

}  // namespace kindred

// The module's only symbol.
extern "C" const kindred::MpiCalls kindred_mpi_calls;
