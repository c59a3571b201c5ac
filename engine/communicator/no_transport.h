// Carries nothing: for communicators of which tensors of the host, or any tensors, never travel.
#pragma once

#include <kindred/engine/communicator/transport.h>
#include <kindred/engine/error.h>

#include <string>
#include <utility>

namespace kindred {

class NoTransport final : public Transport {
 public:
  // `error` is what a call throws, as Error(internal).
  explicit NoTransport(std::string error) : error_(std::move(error)) {}

  void all_reduce(void*, std::int64_t, DType, Reduction) override { refuse(); }
  void all_gather(const void*, void*, std::size_t) override { refuse(); }
  void broadcast(void*, std::size_t, int) override { refuse(); }
  void start_sum(void*, std::int64_t, DType) override { refuse(); }
  void finish_sums() override {}  // there are none
  std::string description() const override { return "nothing"; }

 private:
  [[noreturn]] void refuse() const { fail(ExitCode::internal, "{}", error_); }

  std::string error_;
};

}  // namespace kindred
