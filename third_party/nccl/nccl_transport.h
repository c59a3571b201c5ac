// NCCL: how tensors of GPUs get from one process to the others, over NVLink, PCIe or the network.
//
// The library is opened when a run has several processes (third_party/search looks for it); a run on one GPU neither needs
// nor opens it. all_reduce, all_gather and broadcast run on the compute stream, in order with the kernels. Sums that were
// started run on a stream of their own, and finish_sums() makes the compute stream wait for them. All of it can be part of
// a recording, in which the sums become a branch beside the computation.
//
// A process that dies or hangs is noticed where the host waits for its own GPU: NCCL reports an error, or the wait is
// longer than time_limit() (engine/communicator/time_limit.h). The hosts then ask each other who is there, as in their own
// waits, and those that do not answer are named (Transport::look). Where the hosts cannot ask, NCCL's work on the GPU is
// ended, and the wait throws Error(lost); so it does with every error that the hosts find meanwhile.
//
// Recordings must be gone before the transport is: NCCL does not end before them.
#pragma once

#include <kindred/engine/communicator/communicator.h>

#include <memory>
#include <string>

namespace kindred {

// Joins the GPUs of the processes of `hosts`, each of which calls this after its device has been chosen, by the thread that
// makes the calls of `hosts`, which must outlive the transport. Also works for one process alone. Throws Error(device) on all
// processes if one of them lacks the library or has another version of it, and Error(lost) if the processes do not find
// each other within time_limit().
std::shared_ptr<Transport> open_nccl(const Communicator& hosts);

// Whether one process alone is to use NCCL too, which changes no result: KINDRED_NCCL=1 in the environment, for checks.
// Throws Error(usage) for a value other than 0 and 1.
bool nccl_is_forced();

// "NCCL 2.28.9 in /usr/lib/x86_64-linux-gnu", or why several GPUs cannot be used. Opens the library.
std::string nccl_report();

}  // namespace kindred
