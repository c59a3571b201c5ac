// Tensors of several emulated GPUs, through the calls that a run on real ones makes of NCCL: each GPU is a thread, and runs
// its streams in an order of its own.
#include "../errors.h"
#include "gpus.h"

#include <kindred/engine/communicator/time_limit.h>
#include <kindred/engine/recording.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace kindred {
namespace {

using test::run_gpus;

constexpr std::uint64_t seeds = 12;

// What rank r gives: normal values, integers for i32.
std::vector<double> values_of(int rank, std::int64_t count, DType type, std::uint32_t seed) {
  std::seed_seq sequence{seed, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(count)};
  std::mt19937_64 random(sequence);
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<int> integer(-1000, 1000);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = type == DType::i32 ? integer(random) : normal(random);
  return values;
}

// Rounded to the type, on the host.
Tensor on_host(int rank, std::int64_t count, DType type, std::uint32_t seed) {
  return Tensor::from(values_of(rank, count, type, seed), {count}, Device::cpu).to(Device::cpu, type);
}

Tensor on_gpu(int rank, std::int64_t count, DType type, std::uint32_t seed) {
  return on_host(rank, count, type, seed).to(Device::cuda, type);
}

std::string bytes_of(const Tensor& tensor) {
  const Tensor host = tensor.to(Device::cpu, tensor.dtype());
  return {static_cast<const char*>(host.raw()), host.bytes()};
}

void check_same_everywhere(const Communicator& hosts, const Tensor& tensor) {
  const std::vector<std::string> all = hosts.gather(bytes_of(tensor));
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == 1);
}

// Of the 16-bit types half a unit in the last place, and a little for the additions in f32; of others some additions.
double tolerance_of(DType type) {
  if (type == DType::bf16) return std::ldexp(1.01, -8);
  if (type == DType::f16) return std::ldexp(1.01, -11);
  return type == DType::f32 ? 1e-6 : type == DType::f64 ? 1e-15 : 0;
}

// `result` is the sum of what all ranks gave with `seed`.
void check_sum(const Tensor& result, int size, std::uint32_t seed) {
  const std::int64_t count = result.numel();
  std::vector<double> sum(static_cast<std::size_t>(count)), absolute(sum);
  for (int r = 0; r < size; ++r) {
    const std::vector<double> given = on_host(r, count, result.dtype(), seed).to_vector<double>();
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += given[i];
      absolute[i] += std::abs(given[i]);
    }
  }
  const std::vector<double> values = result.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < sum.size(); ++i)
    worst = std::max(worst, std::abs(values[i] - sum[i]) - tolerance_of(result.dtype()) * absolute[i]);
  CHECK(worst <= 0);
}

void check_gathered(const Tensor& gathered, int size, std::uint32_t seed) {
  const std::int64_t count = gathered.numel() / size;
  std::string expected;
  for (int r = 0; r < size; ++r) expected += bytes_of(on_host(r, count, gathered.dtype(), seed));
  CHECK(bytes_of(gathered) == expected);
}

TEST_CASE("nccl, emulated: sums, maxima, gathers and broadcasts on 1 to 4 GPUs" * test::needs_emulation) {
  for (int size = 1; size <= 4; ++size)
    run_gpus(size, 10, [&](const Communicator& processes, const Communicator& hosts) {
      std::uint32_t seed = 0;
      for (const DType type : {DType::f32, DType::f64, DType::i32, DType::bf16, DType::f16}) {
        CAPTURE(name(type));
        const std::int64_t count = 37;
        const Tensor sum = on_gpu(hosts.rank(), count, type, ++seed);
        processes.all_reduce(Output(sum));
        check_sum(sum, size, seed);
        check_same_everywhere(hosts, sum);

        const Tensor gathered = Tensor::empty({size, count}, type, Device::cuda);
        processes.all_gather(on_gpu(hosts.rank(), count, type, ++seed), Output(gathered));
        check_gathered(gathered, size, seed);
        // From its own place.
        const Tensor place = gathered.rows(hosts.rank(), hosts.rank() + 1);
        place.reshape({count}).copy_from(on_gpu(hosts.rank(), count, type, ++seed));
        processes.all_gather(place, Output(gathered));
        check_gathered(gathered, size, seed);

        for (int root = 0; root < size; ++root) {
          const Tensor sent = on_gpu(hosts.rank(), count, type, ++seed);
          processes.broadcast(Output(sent), root);
          CHECK(bytes_of(sent) == bytes_of(on_host(root, count, type, seed)));
        }
        if (type == DType::bf16 || type == DType::f16) continue;
        const Tensor most = on_gpu(hosts.rank(), count, type, ++seed);
        processes.all_reduce(Output(most), Reduction::max);
        std::vector<double> expected = values_of(0, count, type, seed);
        for (int r = 0; r < size; ++r) {
          const std::vector<double> given = on_host(r, count, type, seed).to_vector<double>();
          for (std::size_t i = 0; i < given.size(); ++i)
            expected[i] = r == 0 ? given[i] : std::max(expected[i], given[i]);
        }
        CHECK(most.to_vector<double>() == expected);
      }
      CHECK(hosts.gather(processes.description()).size() == static_cast<std::size_t>(size));
    });
}

// A step: what is gathered and what is computed while gradients are summed.
struct Step {
  Tensor source, gradients, own, gathered, other, scaled;

  Step(int rank, int size, std::uint32_t seed)
      : source(on_gpu(rank, 100, DType::f32, seed)),
        gradients(Tensor::zeros({100}, DType::f32, Device::cuda)),
        own(on_gpu(rank, 20, DType::f32, seed + 1)),
        gathered(Tensor::empty({size, 20}, DType::f32, Device::cuda)),
        other(Tensor::zeros({100}, DType::f32, Device::cuda)),
        scaled(Tensor::zeros({100}, DType::bf16, Device::cuda)) {}

  void run(const Communicator& processes) {
    gpu().convert(source, Output(gradients));
    // In two buckets.
    processes.start_sum(Output(gradients.rows(60, 100)));
    gpu().fill(Output(other), 3);
    processes.all_gather(own, Output(gathered));
    processes.start_sum(Output(gradients.rows(0, 60)));
    processes.all_reduce(Output(own));
    gpu().convert(other, Output(scaled));
    processes.finish_sums();
    gpu().convert(gradients, Output(other));
  }

  void check(int size, std::uint32_t seed) const {
    check_sum(other, size, seed);
    check_gathered(gathered, size, seed + 1);
    check_sum(own, size, seed + 1);
    CHECK(scaled.to_vector<float>() == std::vector<float>(100, 3));
  }
};

TEST_CASE("nccl, emulated: sums go on beside gathers and kernels, in every order" * test::needs_emulation) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    for (const int size : {1, 2, 3})
      run_gpus(size, seed, [&](const Communicator& processes, const Communicator& hosts) {
        for (std::uint32_t step = 0; step < 3; ++step) {
          Step one(hosts.rank(), size, 7 + step);
          one.run(processes);
          one.check(size, 7 + step);
        }
      });
}

TEST_CASE("nccl, emulated: gradients that are read or written before their sum is finished" *
          test::needs_emulation) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    run_gpus(2, seed, [&](const Communicator& processes, const Communicator& hosts) {
      const Tensor gradients = on_gpu(hosts.rank(), 100, DType::f32, 1);
      const Tensor read = Tensor::zeros({100}, DType::f32, Device::cuda);
      gpu().synchronize();
      processes.start_sum(Output(gradients));
      const std::string error = test::error_of([&] { gpu().convert(gradients, Output(read)); });
      CHECK(error.find("NCCL's all_reduce of 100 f32 (sum) on the communication's stream") !=
            std::string::npos);
      CHECK(error.find("no event is waited for between them") != std::string::npos);
      CHECK(test::error_of([&] { gpu().fill(Output(gradients), 0); }) != "no error");
      processes.finish_sums();
      gpu().convert(gradients, Output(read));
      check_sum(read, 2, 1);
    });
}

TEST_CASE("nccl, emulated: the calls of a step in a recording, replayed" * test::needs_emulation) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed)
    run_gpus(2, seed, [&](const Communicator& processes, const Communicator& hosts) {
      const int rank = hosts.rank();
      Step step(rank, 2, 1);
      const Recording recording(new_memory_pool(Device::cuda), [&] { step.run(processes); });
      for (std::uint32_t replay = 0; replay < 4; ++replay) {
        step.source.copy_from(on_gpu(rank, 100, DType::f32, 20 + replay));
        step.own.copy_from(on_gpu(rank, 20, DType::f32, 21 + replay));
        step.other.fill(0);
        recording.replay();
        step.check(2, 20 + replay);
      }
      // Sums that nobody waits for make a recording impossible, as on a GPU.
      const std::string error = test::error_of([&] {
        const Recording lacking(new_memory_pool(Device::cuda),
                                [&] { processes.start_sum(Output(step.gradients)); });
      });
      CHECK(error.find("did not wait for the communication's stream") != std::string::npos);
      processes.finish_sums();
    });
}

TEST_CASE("nccl, emulated: a group travels as one, and its calls do not depend on each other" *
          test::needs_emulation) {
  run_gpus(2, 3, [&](const Communicator& processes, const Communicator& hosts) {
    const Tensor sum = on_gpu(hosts.rank(), 30, DType::f32, 1), own = on_gpu(hosts.rank(), 5, DType::i32, 2),
                 all = Tensor::empty({2, 5}, DType::i32, Device::cuda);
    {
      const Communicator::Group group(processes);
      processes.all_reduce(Output(sum));
      processes.all_gather(own, Output(all));
    }
    check_sum(sum, 2, 1);
    check_gathered(all, 2, 2);
    const std::string dependent = test::error_of([&] {
      const Communicator::Group group(processes);
      processes.all_reduce(Output(own));
      processes.all_gather(own, Output(all));
    });
    CHECK(dependent.find("uses memory of an earlier call of its group") != std::string::npos);
    const std::string beside = test::error_of([&] {
      const Communicator::Group group(processes);
      processes.start_sum(Output(sum));
    });
    CHECK(beside.find("was started in a group of calls") != std::string::npos);
  });
}

TEST_CASE("nccl, emulated: processes that make different calls" * test::needs_emulation) {
  run_gpus(2, 1, [](const Communicator& processes, const Communicator& hosts) {
    const Tensor some = on_gpu(hosts.rank(), hosts.is_first() ? 30 : 31, DType::f32, 1);
    processes.all_reduce(Output(some));
    const std::string error = test::error_of([] { gpu().synchronize(); });
    CHECK(error.find("all processes must make the same calls") != std::string::npos);

    const Tensor all = Tensor::zeros({4}, DType::f32, Device::cuda);
    const std::string overlap = test::error_of([&] { processes.all_gather(all.rows(1, 3), Output(all)); });
    CHECK(overlap.find("is not this process's place") != std::string::npos);
  });
}

// The error that rank 0 gets while it waits for rank 1.
std::string error_of_first(std::uint64_t seed, const std::function<void()>& of_second) {
  std::string error;
  test::error_of([&] {
    run_gpus(2, seed, [&](const Communicator& processes, const Communicator& hosts) {
      hosts.barrier();  // both have joined
      if (!hosts.is_first()) return of_second();
      const Tensor some = on_gpu(0, 30, DType::f32, 1);
      processes.all_reduce(Output(some));
      error = test::error_of([] { gpu().synchronize(); });
    });
  });
  return error;
}

TEST_CASE("nccl, emulated: a process that dies or hangs is noticed where the host waits" *
          test::needs_emulation) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    const std::string died =
        error_of_first(seed, [] { fail(ExitCode::data, "this process has an error of its own"); });
    CHECK(died.find("NCCL: remote process exited") == 0);
    CHECK(died.find("another process of the run has died or hangs") != std::string::npos);
  }
  const std::string hung = error_of_first(1, [] {
    set_time_limit(0.5);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
  });
  set_time_limit(60);
  CHECK(hung.find("the GPU of rank 0 has waited") != std::string::npos);
}

// What the hosts of rank 0 see while its GPU waits for rank 1's, and the error that rank 0 then gets. `look` says it.
struct SeenWait {
  int looks = 0;
  double longest = 0;  // seconds
  std::string problem, error, later;
};

SeenWait waits_of_first(std::uint64_t seed, const std::function<void(const SeenWait&)>& look,
                        const std::function<void(const std::atomic<bool>& is_over)>& of_second) {
  SeenWait seen;
  std::atomic<bool> is_over = false;
  test::error_of([&] {
    run_processes(2, [&](const Communicator& hosts) {
      const test::OwnGpu own(seed + static_cast<std::uint64_t>(hosts.rank()));
      bool is_watched = false;
      const auto watch = [&](double waited, const std::string& problem) {
        if (!is_watched) return;
        ++seen.looks;
        seen.longest = std::max(seen.longest, waited);
        seen.problem = problem;
        look(seen);
      };
      const Communicator watching(hosts.rank(), 2, std::make_shared<test::WatchingHosts>(hosts, watch));
      const Communicator processes(
          hosts.rank(), 2, std::make_shared<NoTransport>("a tensor of the host was sent"), open_nccl(watching));
      hosts.barrier();  // both have joined
      if (!hosts.is_first()) return of_second(is_over);
      const Tensor some = on_gpu(0, 30, DType::f32, 1);
      processes.all_reduce(Output(some));
      is_watched = true;
      seen.error = test::error_of([] { gpu().synchronize(); });
      is_watched = false;
      seen.later = test::error_of([&] { processes.all_reduce(Output(some)); });
      is_over = true;
    });
  });
  return seen;
}

TEST_CASE("nccl, emulated: the hosts say who is lost while a GPU waits, and not the GPU that waits" *
          test::needs_emulation) {
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    // Rank 1 never starts its call. The limit is short, and only the hosts may judge by it.
    set_time_limit(0.01);
    const SeenWait missing = waits_of_first(
        seed,
        [](const SeenWait& seen) {
          check(seen.longest < 0.05, ExitCode::lost, "rank 1 on node7 does not answer");
        },
        [](const std::atomic<bool>& is_over) {
          while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        });
    set_time_limit(60);
    CHECK(missing.error == "rank 1 on node7 does not answer");
    CHECK(missing.looks >= 1);
    CHECK(missing.problem.empty());
    CHECK(missing.later.find("has been ended") != std::string::npos);  // the GPU no longer waits

    // Rank 1 dies, which NCCL itself notices.
    const SeenWait died = waits_of_first(
        seed, [](const SeenWait& seen) { check(seen.problem.empty(), ExitCode::lost, "{}", seen.problem); },
        [](const std::atomic<bool>&) { fail(ExitCode::data, "this process has an error of its own"); });
    CHECK(died.error.find("NCCL: remote process exited") == 0);
  }
}

TEST_CASE("nccl, emulated: the hosts look after each other while the GPUs find each other" *
          test::needs_emulation) {
  set_time_limit(0.2);
  std::string missing, plain;
  for (const bool can_look : {true, false}) {
    std::atomic<bool> is_over = false;
    run_processes(2, [&](const Communicator& hosts) {
      const test::OwnGpu own(1);
      const auto look = [](double waited, const std::string& problem) {
        check(waited < 0.3, ExitCode::lost, "rank 1 on node7 is missing ({})", problem);
      };
      const Communicator watching(hosts.rank(), 2, std::make_shared<test::WatchingHosts>(hosts, look));
      const Communicator& used = can_look ? watching : hosts;
      if (hosts.is_first()) {
        (can_look ? missing : plain) = test::error_of([&] { open_nccl(used); });
        is_over = true;
        return;
      }
      // Does as open_nccl() does, but never joins.
      used.gather("");
      used.gather("emulated");
      const std::string folder = used.broadcast("");
      while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      std::filesystem::remove_all(folder.c_str());
    });
  }
  set_time_limit(60);
  CHECK(missing.find("rank 1 on node7 is missing (the GPUs of 2 processes did not find each other") == 0);
  CHECK(plain.find("the GPUs of 2 processes did not find each other") == 0);
}

}  // namespace
}  // namespace kindred
