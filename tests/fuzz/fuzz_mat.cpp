// meta.mat: any bytes give synsets or an error.
#include "../data/mat_writer.h"
#include "fuzz_target.h"

#include <kindred/engine/error.h>

using namespace kindred;

namespace {

void run(std::span<const std::uint8_t> bytes) {
  try {
    KINDRED_FUZZ_CHECK(!read_synsets(bytes, "fuzz.mat").empty());
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::data);
  }
}

std::vector<fuzz::Bytes> seeds() {
  const std::vector<Synset> synsets{{1, "n02119789"}, {2, "n02100735"}, {1000, "n03255030"}};
  return {test::meta_mat(synsets, false), test::meta_mat(synsets, true)};
}

}  // namespace

KINDRED_FUZZ_TARGET(mat, run, seeds)
