#include "../../errors.h"
#include "collectives.h"
#include "threads.h"

#include <doctest/doctest.h>
#include <kindred/engine/communicator/no_transport.h>
#include <kindred/engine/communicator/time_limit.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <thread>

namespace kindred::test {
namespace {

// A transport that nobody may call.
std::shared_ptr<Transport> forbidden_transport() {
  return std::make_shared<NoTransport>("the transport was called");
}

TEST_CASE("communicator: collectives of 1 to 5 processes") {
  for (const int size : {1, 2, 3, 4, 5})
    run_processes(size, [&](const Communicator& processes) {
      CHECK(processes.size() == size);
      CHECK(&world() == &processes);
      check_reductions(processes);
      check_large_reduction(processes, 100003);
      check_gathers(processes);
      check_broadcasts(processes);
      check_sums_under_way(processes);
      check_groups(processes);
      check_values_and_texts(processes);
    });
}

TEST_CASE("communicator: one process alone changes nothing, and a gather is a copy") {
  const Communicator alone;
  CHECK(alone.is_alone());
  CHECK(alone.is_first());
  CHECK(alone.description().empty());
  check_reductions(alone);
  check_gathers(alone);
  check_broadcasts(alone);
  check_sums_under_way(alone);
  check_groups(alone);
  check_values_and_texts(alone);
  CHECK(world().is_alone());
}

TEST_CASE("communicator: nothing is called for device plan, nor for tensors without elements") {
  const Communicator processes(1, 3, forbidden_transport());
  for (const Device device : {Device::plan, Device::cpu}) {
    const std::int64_t rows = device == Device::plan ? 4 : 0;
    const Tensor tensor = Tensor::empty({rows}, DType::f32, device);
    processes.all_reduce(Output(tensor));
    processes.all_gather(tensor, Output(Tensor::empty({3, rows}, DType::f32, device)));
    processes.broadcast(Output(tensor), 2);
    processes.start_sum(Output(tensor));
  }
  CHECK(error_of([&] { processes.barrier(); }) == "the transport was called");
  CHECK(processes.description() == "3 processes over nothing");
}

TEST_CASE("communicator: misuse is an error that says what was given and expected") {
  run_processes(2, [](const Communicator& processes) {
    const Tensor four = Tensor::zeros({4}, DType::f32, Device::cpu),
                 halves = Tensor::zeros({4}, DType::bf16, Device::cpu);
    CHECK(error_of([&] { processes.all_gather(four, Output(four)); }).find("expected 8 elements") !=
          std::string::npos);
    CHECK(error_of([&] {
            processes.all_gather(four, Output(Tensor::zeros({8}, DType::f64, Device::cpu)));
          }).find("expected the same") != std::string::npos);
    CHECK(error_of([&] { processes.all_reduce(Output(halves), Reduction::max); }).find("maximum of bf16") !=
          std::string::npos);
    CHECK(code_of([&] { processes.all_reduce(Output(Tensor::zeros({4}, DType::u8, Device::cpu))); }) ==
          ExitCode::internal);
    CHECK(code_of([&] { processes.broadcast("text", 2); }) == ExitCode::internal);
  });
  CHECK(code_of([] { Communicator(2, 2, forbidden_transport()); }) == ExitCode::internal);
  CHECK(code_of([] { Communicator(0, 2, nullptr); }) == ExitCode::internal);
}

TEST_CASE("communicator: processes as threads do not wait for one that failed or ended") {
  CHECK(error_of([] {
          run_processes(3, [](const Communicator& processes) {
            check(processes.rank() != 1, ExitCode::data, "an unreadable picture");
            processes.barrier();
          });
        }) == "an unreadable picture");
  CHECK(error_of([] {
          run_processes(3, [](const Communicator& processes) {
            if (processes.rank() != 1) processes.barrier();
          });
        }).find("has ended, and the others wait") != std::string::npos);
  CHECK(error_of([] {
          run_processes(2, [](const Communicator& processes) {
            processes.sum(std::vector<double>(1 + processes.rank()));
          });
        }).find("different calls") != std::string::npos);
}

TEST_CASE("communicator: threads notice who touches a tensor while its sum is under way") {
  CHECK(error_of([] {
          run_processes(2, [](const Communicator& processes) {
            Tensor tensor = Tensor::full({5}, 1, DType::f32, Device::cpu);
            processes.start_sum(Output(tensor));
            CHECK(std::isnan(tensor.data<float>()[3]));
            tensor.window(2, {1}).fill(0);
            processes.finish_sums();
          });
        }).find("was written while its sum was under way") != std::string::npos);
}

TEST_CASE("communicator: each thread has its own world, and the outer one again afterwards") {
  std::atomic<int> ranks{0};
  run_processes(3, [&](const Communicator& processes) {
    ranks += 1 << world().rank();
    {
      const Communicator alone;
      const WorldScope scope(alone);
      CHECK(world().is_alone());
    }
    CHECK(&world() == &processes);
  });
  CHECK(ranks == 7);
  CHECK(world().is_alone());
}

TEST_CASE("time limit: longer in some phases, and then as before") {
  const double before = time_limit();
  {
    const LongerLimit longer(before + 100);
    CHECK(time_limit() == before + 100);
    const LongerLimit shorter(1);
    CHECK(time_limit() == before + 100);
  }
  CHECK(time_limit() == before);
  CHECK(code_of([] { set_time_limit(0); }) == ExitCode::usage);
}

TEST_CASE("time limit: who watches the wait of a thread takes that thread's limit, and no other thread does") {
  const double before = time_limit();
  const LimitOfThread of_this;
  double seen_by_watcher = 0, of_watcher = 0, after_longer = 0;
  {
    const LongerLimit longer(before + 100);
    std::thread([&] {
      const LongerLimit shorter(before + 50);  // of a thread that is another process
      seen_by_watcher = of_this.seconds();
      of_watcher = time_limit();
    }).join();
    CHECK(of_this.seconds() == before + 100);
  }
  std::thread([&] { after_longer = of_this.seconds(); }).join();
  CHECK(seen_by_watcher == before + 100);
  CHECK(of_watcher == before + 50);
  CHECK(after_longer == before);
  CHECK(of_this.seconds() == before);
}

// What a transport sees of a wait that is not its own.
struct WatchingTransport : Transport {
  void all_reduce(void*, std::int64_t, DType, Reduction) override {}
  void all_gather(const void*, void*, std::size_t) override {}
  void broadcast(void*, std::size_t, int) override {}
  void start_sum(void*, std::int64_t, DType) override {}
  void finish_sums() override {}
  bool look(double waited, const std::string& problem) override {
    seen += waited;
    check(problem.empty(), ExitCode::lost, "{}", problem);
    return true;
  }
  std::string description() const override { return "eyes"; }

  double seen = 0;
};

TEST_CASE("communicator: a wait elsewhere is looked after by the transport of the hosts, if it can") {
  const auto watching = std::make_shared<WatchingTransport>();
  const Communicator processes(0, 2, watching, forbidden_transport());
  CHECK(processes.look(1.5));
  CHECK(processes.look(2.5));
  CHECK(watching->seen == 4);
  CHECK(error_of([&] { processes.look(0, "in vain"); }) == "in vain");
  CHECK_FALSE(Communicator().look(1e9, "in vain"));
  CHECK_FALSE(Communicator(0, 2, forbidden_transport()).look(1e9, "in vain"));
}

}  // namespace
}  // namespace kindred::test
