// The first lines of a run.
#include "small_options.h"

#include <doctest/doctest.h>
#include <kindred/apps/training/announcement.h>

#include <algorithm>
#include <string>

namespace kindred {
namespace {

std::string words_of(std::int64_t processes, std::int64_t micro_batch, BatchNormScope scope, bool sync) {
  PretrainOptions o = small_options(8, 24);
  o.processes = processes;
  o.micro_batch = micro_batch;
  o.batch_norm_scope = scope;
  o.sync_batch_norm = sync;
  return processes_in_words(o);
}

bool has_words(const std::string& text, const std::string& words) {
  return text.find(words) != std::string::npos;
}

TEST_CASE("announcement: micro-batches of several processes say over how many images batch norms go") {
  constexpr BatchNormScope micro = BatchNormScope::micro, full = BatchNormScope::full;
  CHECK(words_of(1, 4, micro, true).empty());
  const std::string two = words_of(2, 3, micro, true);
  CHECK(has_words(two, "each of 2 processes trains on 12 of a batch's 24 images\n"));
  CHECK(has_words(two, "--micro-batch 3: a batch norm sees 6 images at a time, 3 of each process"));
  CHECK(has_words(two, "as with --micro-batch 6 in one process"));
  CHECK(std::count(two.begin(), two.end(), '\n') == 2);
  CHECK(has_words(words_of(4, 3, micro, true), "sees 12 images at a time, 3 of each process"));
  // Where a batch norm sees the whole batch there is nothing to say.
  for (const std::string& text :
       {words_of(2, 0, micro, true), words_of(2, 12, micro, true), words_of(2, 3, full, true)}) {
    CAPTURE(text);
    CHECK(std::count(text.begin(), text.end(), '\n') == 1);
  }
  CHECK(has_words(words_of(2, 3, micro, false), "a batch norm sees 3 images of its own process"));
  CHECK(has_words(words_of(2, 3, full, false), "a batch norm sees the 12 images of its own process"));
  CHECK(has_words(words_of(2, 0, micro, false), "a batch norm sees the 12 images of its own process"));
}

}  // namespace
}  // namespace kindred
