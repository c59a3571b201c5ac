// What is said when a folder cannot be listed.
#include "../../errors.h"

#include <doctest/doctest.h>

#include <kindred/data/files/listing_error.h>

#include <cerrno>
#include <system_error>

namespace kindred {
namespace {

Error listing_error(int number) {
  try {
    check_listed("set/train", std::error_code(number, std::generic_category()));
  } catch (const Error& error) {
    return error;
  }
  return {ExitCode::ok, ""};
}

TEST_CASE("listing error: what this process lacks is no error of the data") {
  CHECK(listing_error(0).code() == ExitCode::ok);
  for (const int number : {EACCES, ENOENT, EIO}) {
    CAPTURE(number);
    const Error error = listing_error(number);
    CHECK(error.code() == ExitCode::data);
    CHECK(error.cause() == Cause::other);
    CHECK(std::string(error.what()).starts_with("set/train: cannot be listed: "));
    CHECK(!is_own_lack(std::error_code(number, std::generic_category())));
  }
  const Error memory = listing_error(ENOMEM);
  CHECK(memory.code() == ExitCode::device);
  CHECK(memory.cause() == Cause::out_of_memory);
  for (const int number : {EMFILE, ENFILE}) {
    CAPTURE(number);
    const Error files = listing_error(number);
    CHECK(files.code() == ExitCode::device);
    CHECK(std::string(files.what()).ends_with("; raise the limit of open files (ulimit -n)"));
    CHECK(is_own_lack(std::error_code(number, std::system_category())));
  }
}

}  // namespace
}  // namespace kindred
