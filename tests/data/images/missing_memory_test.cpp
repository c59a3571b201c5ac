// A library that gets no memory, which is no fault of the picture: std::bad_alloc, as where Kindred itself gets none.
#include "../../golden/formula.h"
#include "../../memory_limit.h"

#include <doctest/doctest.h>

#include <kindred/data/images/decode.h>
#include <kindred/data/images/decode_formats.h>

#include <nlohmann/json.hpp>

#include <sys/resource.h>  // defines: setrlimit
#include <sys/wait.h>      // defines: waitpid
#include <unistd.h>        // defines: fork, _exit

#include <charconv>
#include <csignal>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

using namespace kindred;

namespace {

// Leaves this process blocks of a few hundred bytes, for texts and exceptions, and none of `bytes` or more.
void take_memory_from(std::size_t bytes) {
  volatile char stack[std::size_t{1} << 18];  // the stack cannot grow any more
  for (std::size_t i = 0; i < sizeof stack; i += 1024) stack[i] = 0;
  void* small[400];
  for (void*& block : small) block = std::malloc(300);
  const rlimit limit{1 << 20, 1 << 20};
  ::setrlimit(RLIMIT_AS, &limit);
  for (std::size_t size = std::size_t{1} << 30; size >= bytes; size /= 2)
    while (void* volatile block = std::malloc(size)) static_cast<void>(block);
  for (std::size_t i = 0; i < std::size(small); i += 2)
    std::free(small[i]);  // their neighbours keep them apart
}

constexpr int ended_without_memory = 11, ended_as_bad = 12, ended_decoded = 13, ended_by_fault = 14;

// How a process without memory ends that decodes a file whose header it has read. `pixels` has room for the picture.
int ending_without_memory(Decoder& decoder, Decoded& pixels, std::size_t smallest_block) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    take_memory_from(smallest_block);
    try {
      decoder.decode_whole(pixels);
    } catch (const std::bad_alloc&) {
      ::_exit(ended_without_memory);
    }
    ::_exit(pixels.outcome == Outcome::rejected ? ended_as_bad : ended_decoded);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  // Some libraries use what malloc did not give. Under a limit the programs' main takes such an end for missing memory too.
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) return ended_by_fault;
  CHECK(WIFEXITED(status));
  return WEXITSTATUS(status);
}

std::vector<std::uint8_t> bytes_in_hex(const std::string& hex) {
  std::vector<std::uint8_t> bytes(hex.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, bytes[i], 16);
  return bytes;
}

}  // namespace

TEST_CASE("missing memory: where a library gets none, its picture is not called bad" *
          doctest::skip(memory_cannot_be_limited)) {
  const nlohmann::json golden = golden::load_fixture("decode_formats");
  int tried = 0, faults = 0;
  for (const auto& example : golden["cases"]) {
    const std::string name = example["name"];
    CAPTURE(name);
    const std::vector<std::uint8_t> file = bytes_in_hex(example["file"]);
    Decoder decoder;
    Decoded pixels;
    const ImageHeader header = decoder.open(file, {});
    if (!detail::has_library_for(header.format) || !header.ok()) continue;
    ++tried;
    decoder.decode_whole(pixels);
    REQUIRE(pixels.outcome == Outcome::ok);
    const int ending = ending_without_memory(decoder, pixels, 1024);
    CHECK((ending == ended_without_memory || ending == ended_by_fault));
    faults += ending == ended_by_fault;
    // Here some of them get what they need.
    for (const std::size_t smallest : {4096, 16384})
      CHECK(ending_without_memory(decoder, pixels, smallest) != ended_as_bad);
  }
  CHECK(2 * faults <= tried);
  if (tried < 29)
    MESSAGE("skipped: formats whose libraries this build lacks: " << 29 - tried << " of 29 files");
}
