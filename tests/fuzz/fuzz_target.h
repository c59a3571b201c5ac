// The pattern of a fuzz target. A file fuzz_NAME.cpp holds one:
//
//   KINDRED_FUZZ_TARGET(NAME, run, seeds)
//
//   void run(std::span<const std::uint8_t> bytes)   gives hostile bytes to a parser, and checks the result
//                                                   with KINDRED_FUZZ_CHECK; it must not throw
//   std::vector<Bytes> seeds()                      a few small well-formed inputs, drawn by the project itself
//
// Built by clang with libFuzzer (preset fuzz), it is the program fuzz_NAME; scripts/fuzz.sh runs it for a
// given time. Built without libFuzzer, it is part of the unit tests: fuzz_test.cpp runs the seeds and some
// thousand inputs made from them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

namespace kindred::fuzz {

using Bytes = std::vector<std::uint8_t>;

struct Target {
  const char* name;
  void (*run)(std::span<const std::uint8_t>);
  std::vector<Bytes> (*seeds)();
};

std::vector<Target>& targets();  // of this program, in no particular order

struct Registration {
  explicit Registration(const Target& target) { targets().push_back(target); }
};

// Writes each seed of the program's only target to a file in `folder`.
void write_seeds(const std::string& folder);

}  // namespace kindred::fuzz

// Ends the program in a way that a debugger and libFuzzer notice.
#define KINDRED_FUZZ_CHECK(condition)                                                     \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

#ifdef KINDRED_LIBFUZZER
// `fuzz_NAME --write-seeds FOLDER` is handled before libFuzzer reads the command line.
#define KINDRED_FUZZ_TARGET(name, run, seeds)                                         \
  static const kindred::fuzz::Registration registration({#name, run, seeds});         \
  extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {                      \
    if (*argc == 3 && std::string((*argv)[1]) == "--write-seeds") {                   \
      kindred::fuzz::write_seeds((*argv)[2]);                                         \
      std::exit(0);                                                                   \
    }                                                                                 \
    return 0;                                                                         \
  }                                                                                   \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    run({data, size});                                                                \
    return 0;                                                                         \
  }
#else
#define KINDRED_FUZZ_TARGET(name, run, seeds) \
  static const kindred::fuzz::Registration registration({#name, run, seeds});
#endif
