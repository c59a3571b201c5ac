// What must be equal in all processes, and the line if it is not.
#include "../../engine/communicator/threads.h"

#include <kindred/apps/processes/agreement.h>
#include <kindred/engine/error.h>

#include <doctest/doctest.h>

#include <functional>
#include <mutex>
#include <vector>

namespace kindred {
namespace {

// What each process throws, by rank; "" if nothing.
std::vector<std::string> disagreements(int size, const std::function<std::string(int rank)>& text) {
  std::vector<std::string> thrown(static_cast<std::size_t>(size));
  run_processes(size, [&](const Communicator& processes) {
    try {
      agree(processes, "settings", text(processes.rank()));
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::usage);
      thrown[static_cast<std::size_t>(processes.rank())] = error.what();
    }
  });
  return thrown;
}

TEST_CASE("agreement: equal texts pass, also empty ones, and a process alone") {
  for (const std::string text : {"", "lr: 0.1\nbatch_size: 64\n"})
    for (const std::string& thrown : disagreements(3, [&](int) { return text; })) CHECK(thrown.empty());
  agree(Communicator(), "settings", "anything");
}

TEST_CASE("agreement: all processes say the same about the first one that differs") {
  const auto thrown = disagreements(4, [](int rank) {
    return "lr: 0.1\nbatch_size: " + std::string(rank >= 2 ? "128" : "64") + "\nmodel: resnet20";
  });
  for (const std::string& line : thrown) CHECK(line == thrown[0]);
  CHECK(thrown[0].starts_with("rank 2 on "));
  CHECK(thrown[0].find(" has other settings than rank 0 on ") != std::string::npos);
  CHECK(thrown[0].ends_with(": batch_size: 128, and not batch_size: 64; start the same command everywhere"));
}

TEST_CASE("agreement: a line too many, and one that is missing") {
  const auto more = disagreements(2, [](int rank) { return rank == 1 ? "a\nb" : "a"; });
  CHECK(more[0].find(": b, and not nothing; ") != std::string::npos);
  const auto fewer = disagreements(2, [](int rank) { return rank == 1 ? "a" : "a\nb"; });
  CHECK(fewer[0].find(": nothing, and not b; ") != std::string::npos);
}

TEST_CASE("agreement: texts of the same lines are told apart by the first place that differs") {
  const auto order = disagreements(
      2, [](int rank) { return rank == 1 ? "seed: 1\nlr: 0.1\nepochs: 2" : "seed: 1\nepochs: 2\nlr: 0.1"; });
  CHECK(order[0].find(": lr: 0.1, and not epochs: 2; ") != std::string::npos);
  const auto comma = disagreements(2, [](int rank) { return rank == 1 ? "a: 1\nb: 2," : "a: 1\nb: 2"; });
  CHECK(comma[0].find(": b: 2,, and not b: 2; ") != std::string::npos);
  const auto one_line = disagreements(2, [](int rank) { return rank == 1 ? "b: 2" : "b: 2,"; });
  CHECK(one_line[0].find(": b: 2, and not b: 2,; ") != std::string::npos);
  const auto newline = disagreements(2, [](int rank) { return rank == 1 ? "a\n" : "a"; });
  CHECK(newline[0].find(": an empty line, and not nothing; ") != std::string::npos);
  const auto gap = disagreements(2, [](int rank) { return rank == 1 ? "a\nb\n" : "a\nb\n\n"; });
  CHECK(gap[0].find(": nothing, and not an empty line; ") != std::string::npos);
}

TEST_CASE("agreement: the setting that differs is named, whichever lines one of them has alone") {
  // Rank 1 has a setting more, before the others; nothing else differs.
  const auto more = disagreements(2, [](int rank) {
    return std::string(rank == 1 ? "accumulate: 2\n" : "") + "batch_size: 64\nlr: 0.1\nmodel: resnet20\n";
  });
  CHECK(more[0].find(": accumulate: 2, and not nothing; ") != std::string::npos);
  const auto fewer = disagreements(2, [](int rank) {
    return std::string(rank == 0 ? "accumulate: 2\n" : "") + "batch_size: 64\nlr: 0.1\nmodel: resnet20\n";
  });
  CHECK(fewer[0].find(": nothing, and not accumulate: 2; ") != std::string::npos);
  // One more, and one that differs, which all of them have.
  const auto both = disagreements(2, [](int rank) {
    return std::string(rank == 1 ? "accumulate: 2\n" : "") +
           "batch_size: 64\nlr: " + (rank == 1 ? "0.2" : "0.1");
  });
  CHECK(both[0].find(": lr: 0.2, and not lr: 0.1; ") != std::string::npos);
  // The order does not matter, and a value may hold colons.
  const auto values = disagreements(2, [](int rank) {
    return rank == 1 ? "lr: 0.1\nshards: http://b:80/x\nbatch_size: 64"
                     : "batch_size: 64\nlr: 0.1\nshards: http://a:80/x";
  });
  CHECK(values[0].find(": shards: http://b:80/x, and not shards: http://a:80/x; ") != std::string::npos);
}

TEST_CASE("agreement: of JSON, a line too many does not make its neighbour differ by a comma") {
  const auto json = disagreements(2, [](int rank) {
    return "{\n \"epochs\": 2" + std::string(rank == 1 ? ",\n \"lr\": 0.1" : "") + "\n}";
  });
  CHECK(json[0].find("\"lr\": 0.1, and not nothing; ") != std::string::npos);
}

TEST_CASE("agreement: lines without a colon are compared by place") {
  const auto prints =
      disagreements(2, [](int rank) { return "0a1b\n" + std::string(rank == 1 ? "77" : "42"); });
  CHECK(prints[0].find(": 77, and not 42; ") != std::string::npos);
  const auto one = disagreements(2, [](int rank) { return std::string(rank == 1 ? "a 1: x" : "a 2: x"); });
  CHECK(one[0].find(": a 1: x, and not a 2: x; ") != std::string::npos);
}

TEST_CASE("agreement: this program knows its build") {
  const std::string words = build_in_words();
  CHECK(words.find("version ") != std::string::npos);
  CHECK(words == build_in_words());
}

}  // namespace
}  // namespace kindred
