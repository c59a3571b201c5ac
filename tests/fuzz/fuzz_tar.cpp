// tar: for any bytes every member lies within the archive, and reading ends.
#include "../data/tar_writer.h"
#include "fuzz_target.h"

#include <kindred/data/sets/tar.h>
#include <kindred/engine/error.h>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  const MemoryReader memory(bytes);
  TarReader tar(memory, "fuzz.tar");
  std::uint64_t last = 0;
  try {
    for (TarMember member; tar.next(member);) {
      KINDRED_FUZZ_CHECK(member.offset >= last + 512);  // reading advances
      KINDRED_FUZZ_CHECK(member.offset <= bytes.size() && member.bytes <= bytes.size() - member.offset);
      last = member.offset;
    }
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::data);
  }
}

std::vector<fuzz::Bytes> seeds() {
  test::TarWriter plain, extended, odd;
  plain.add("folder/", "", '5');
  plain.add("a.jpg", "12345");
  plain.add("a.cls", "7");
  extended.add("global", test::TarWriter::pax_record("comment", "x"), 'g');
  extended.add_pax(std::string(130, 'p') + ".jpg", "pax");
  extended.add_gnu(std::string(130, 'g') + ".jpg", "gnu");
  odd.add_prefixed("some/where", "b.jpg", std::string(513, 'b'));
  odd.add("link.jpg", "", '2');
  return {test::as_bytes(plain.finish()), test::as_bytes(extended.finish()), test::as_bytes(odd.finish()),
          test::as_bytes(plain.unfinished())};
}

}  // namespace

KINDRED_FUZZ_TARGET(tar, run, seeds)
