#include "collectives.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace kindred::test {
namespace {

// What process `rank` gives: integers from -100 to 100 for i32, otherwise normal.
std::vector<double> values_of(int rank, std::int64_t count, DType type, std::uint32_t seed = 0) {
  std::seed_seq sequence{seed, static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(count)};
  std::mt19937_64 random(sequence);
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<int> integer(-100, 100);
  std::vector<double> values(static_cast<std::size_t>(count));
  for (double& value : values) value = type == DType::i32 ? integer(random) : normal(random);
  return values;
}

// As a tensor of the type: rounded to it.
Tensor tensor_of(int rank, std::int64_t count, DType type, std::uint32_t seed = 0) {
  return Tensor::from(values_of(rank, count, type, seed), {count}, Device::cpu).to(Device::cpu, type);
}

std::string bytes_of(const Tensor& tensor) {
  return std::string(static_cast<const char*>(tensor.raw()), tensor.bytes());
}

void check_same_everywhere(const Communicator& processes, const Tensor& tensor) {
  const std::vector<std::string> all = processes.gather(bytes_of(tensor));
  CHECK(std::set<std::string>(all.begin(), all.end()).size() == 1);
}

// The sum over all processes, and the sum of absolute values that errors are relative to.
struct Expected {
  std::vector<double> sum, size, largest;
};

Expected expected_of(const Communicator& processes, std::int64_t count, DType type, std::uint32_t seed = 0) {
  const auto n = static_cast<std::size_t>(count);
  Expected expected{std::vector<double>(n), std::vector<double>(n),
                    std::vector<double>(n, -std::numeric_limits<double>::infinity())};
  for (int rank = 0; rank < processes.size(); ++rank) {
    const std::vector<double> given = tensor_of(rank, count, type, seed).to_vector<double>();
    for (std::size_t i = 0; i < n; ++i) {
      expected.sum[i] += given[i];
      expected.size[i] += std::abs(given[i]);
      expected.largest[i] = std::max(expected.largest[i], given[i]);
    }
  }
  return expected;
}

// Each of the additions rounds once; by half of the last digit, which is 2^-8 for bf16.
double tolerance_of(DType type, int processes) {
  const double additions = std::max(processes - 1, 1);
  switch (type) {
    case DType::f32:
      return 1e-6;
    case DType::f64:
      return 1e-14;
    case DType::bf16:
      return additions * std::ldexp(1, -8);
    case DType::f16:
      return additions * std::ldexp(1, -11);
    default:
      return 0;
  }
}

// The largest error, relative to the sum of absolute values.
double error_of_sum(const Tensor& sum, const Expected& expected) {
  const std::vector<double> values = sum.to_vector<double>();
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double error = std::abs(values[i] - expected.sum[i]) / std::max(expected.size[i], 1e-30);
    worst = std::isfinite(error) ? std::max(worst, error) : std::numeric_limits<double>::infinity();
  }
  return worst;
}

void be_slow_at_random(std::mt19937& random) {
  if (random() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
}

}  // namespace

void check_reductions(const Communicator& processes) {
  for (const DType type : {DType::f32, DType::f64, DType::i32, DType::bf16, DType::f16})
    for (const std::int64_t count : {1, 3, 1000, 70001}) {
      CAPTURE(name(type));
      CAPTURE(count);
      const Expected expected = expected_of(processes, count, type);
      const Tensor sum = tensor_of(processes.rank(), count, type);
      processes.all_reduce(Output(sum));
      CHECK(error_of_sum(sum, expected) <= tolerance_of(type, processes.size()));
      check_same_everywhere(processes, sum);
      const Tensor again = tensor_of(processes.rank(), count, type);
      processes.all_reduce(Output(again));
      CHECK(bytes_of(again) == bytes_of(sum));
      if (type == DType::bf16 || type == DType::f16) continue;
      const Tensor largest = tensor_of(processes.rank(), count, type);
      processes.all_reduce(Output(largest), Reduction::max);
      CHECK(largest.to_vector<double>() == expected.largest);
    }
}

void check_large_reduction(const Communicator& processes, std::int64_t count) {
  // Whole numbers, so that the sum is exact.
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>((i * 7919 + static_cast<std::size_t>(processes.rank())) % 1009);
  const Tensor sum = Tensor::from(values, {count}, Device::cpu);
  processes.all_reduce(Output(sum));
  std::int64_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::size_t expected = 0;
    for (int rank = 0; rank < processes.size(); ++rank)
      expected += (i * 7919 + static_cast<std::size_t>(rank)) % 1009;
    wrong += sum.data<float>()[i] != static_cast<float>(expected);
  }
  CHECK(wrong == 0);
  const Tensor copy = Tensor::from(values, {count}, Device::cpu);
  processes.broadcast(Output(copy), processes.size() - 1);
  CHECK(copy.data<float>()[count - 1] == static_cast<float>((static_cast<std::size_t>(count - 1) * 7919 +
                                                             static_cast<std::size_t>(processes.size() - 1)) %
                                                            1009));
}

void check_gathers(const Communicator& processes) {
  for (const DType type : {DType::u8, DType::bf16, DType::f32, DType::i32, DType::f64})
    for (const std::int64_t count : {1, 5, 4099}) {
      CAPTURE(name(type));
      CAPTURE(count);
      const auto given = [&](int rank) {
        return Tensor::from(values_of(rank, count, DType::i32), {count}, Device::cpu).to(Device::cpu, type);
      };
      std::string expected;
      for (int rank = 0; rank < processes.size(); ++rank) expected += bytes_of(given(rank));
      const Tensor apart = Tensor::empty({processes.size(), count}, type, Device::cpu);
      processes.all_gather(given(processes.rank()), Output(apart));
      CHECK(bytes_of(apart) == expected);
      const Tensor in_place = Tensor::zeros({processes.size() * count}, type, Device::reference);
      Tensor own = in_place.window(processes.rank() * count, {count});
      own.copy_from(given(processes.rank()).to(Device::reference, type));
      processes.all_gather(own, Output(in_place));
      CHECK(bytes_of(in_place) == expected);
    }
}

void check_broadcasts(const Communicator& processes) {
  for (const DType type : {DType::u8, DType::f16, DType::f32, DType::f64})
    for (int root = 0; root < processes.size(); ++root) {
      const auto given = [&](int rank) {
        return Tensor::from(values_of(rank, 3001, DType::i32), {3001}, Device::cpu).to(Device::cpu, type);
      };
      const Tensor tensor = given(processes.rank());
      processes.broadcast(Output(tensor), root);
      CHECK(bytes_of(tensor) == bytes_of(given(root)));
    }
  CHECK_THROWS_AS(processes.broadcast(Output(Tensor::zeros({1}, DType::f32, Device::cpu)), processes.size()),
                  Error);
}

void check_sums_under_way(const Communicator& processes) {
  std::mt19937 random(static_cast<std::uint32_t>(processes.rank()));
  const std::vector<std::int64_t> counts{30011, 7, 100003, 2000};
  for (std::uint32_t step = 0; step < 10; ++step) {
    const DType type = step % 3 == 2 ? DType::bf16 : DType::f32;
    std::vector<Tensor> sums;
    for (const std::int64_t count : counts) {
      sums.push_back(tensor_of(processes.rank(), count, type, step));
      processes.start_sum(Output(sums.back()));
      be_slow_at_random(random);
      processes.progress();
      // Meanwhile others travel, as batch norms' statistics do.
      const Tensor own =
          Tensor::full({2}, processes.rank() + static_cast<double>(count), DType::f32, Device::cpu);
      const Tensor all = Tensor::empty({processes.size(), 2}, DType::f32, Device::cpu);
      processes.all_gather(own, Output(all));
      const Tensor total = Tensor::full({3}, processes.rank() + 1.0, DType::f64, Device::cpu);
      processes.all_reduce(Output(total));
      for (int rank = 0; rank < processes.size(); ++rank)
        CHECK(all.data<float>()[2 * rank + 1] == static_cast<float>(rank + count));
      CHECK(total.data<double>()[2] == processes.size() * (processes.size() + 1) / 2.0);
    }
    processes.finish_sums();
    for (std::size_t i = 0; i < counts.size(); ++i)
      CHECK(error_of_sum(sums[i], expected_of(processes, counts[i], type, step)) <=
            tolerance_of(type, processes.size()));
    check_same_everywhere(processes, sums[2]);
    be_slow_at_random(random);
  }
  processes.finish_sums();  // of none
  processes.progress();
}

void check_groups(const Communicator& processes) {
  const Tensor a = tensor_of(processes.rank(), 11, DType::f32),
               b = tensor_of(processes.rank(), 4, DType::f64, 1);
  const Tensor all = Tensor::empty({processes.size(), 3}, DType::i32, Device::cpu);
  const Tensor own = Tensor::full({3}, processes.rank() + 5, DType::i32, Device::cpu);
  {
    const Communicator::Group group(processes);
    processes.all_reduce(Output(a));
    processes.all_gather(own, Output(all));
    processes.all_reduce(Output(b));
  }
  CHECK(error_of_sum(a, expected_of(processes, 11, DType::f32)) <= tolerance_of(DType::f32, processes.size()));
  CHECK(error_of_sum(b, expected_of(processes, 4, DType::f64, 1)) <=
        tolerance_of(DType::f64, processes.size()));
  for (int rank = 0; rank < processes.size(); ++rank) CHECK(all.data<std::int32_t>()[3 * rank + 2] == rank + 5);
}

void check_values_and_texts(const Communicator& processes) {
  const int size = processes.size(), rank = processes.rank();
  CHECK(processes.sum({1, rank + 0.5}) ==
        std::vector<double>{double(size), size * (size - 1) / 2.0 + 0.5 * size});
  CHECK(processes.max({-double(rank), double(rank)}) == std::vector<double>{0, double(size - 1)});
  CHECK(processes.sum({}).empty());
  // A figure that is not a number stays one, whoever has it.
  for (int broken = 0; broken < size; ++broken) {
    const double own = rank == broken ? std::numeric_limits<double>::quiet_NaN() : rank;
    CHECK(std::isnan(processes.max({own})[0]));
    CHECK(std::isnan(processes.sum({own})[0]));
  }
  // Texts of different lengths, with any bytes, and none.
  const auto text_of = [](int r) {
    return std::string(static_cast<std::size_t>(r * 1000), '\0') + std::string(r % 2, 'x');
  };
  const std::vector<std::string> texts = processes.gather(text_of(rank));
  REQUIRE(texts.size() == static_cast<std::size_t>(size));
  for (int r = 0; r < size; ++r) CHECK(texts[static_cast<std::size_t>(r)] == text_of(r));
  CHECK(processes.gather("") == std::vector<std::string>(static_cast<std::size_t>(size)));
  for (int root = 0; root < size; ++root) {
    CHECK(processes.broadcast(text_of(rank + 1), root) == text_of(root + 1));
    CHECK(processes.broadcast(rank == root ? "" : "not this", root).empty());
  }
  for (int i = 0; i < 3; ++i) processes.barrier();
}

}  // namespace kindred::test
