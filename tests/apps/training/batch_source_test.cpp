// The batches of a run over several processes, and what they know of images that cannot be read.
#include "../../engine/communicator/threads.h"
#include "../../errors.h"
#include "../programs.h"
#include "small_options.h"

#include <kindred/apps/training/batch_source.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kindred {
namespace {

constexpr std::int64_t images_of_batch = 8;

PretrainOptions options_in_test() {
  PretrainOptions o = small_options(32, images_of_batch);
  o.view_groups = {{recipe("cifar", 32), 32, 2}};
  o.seed = 5;
  return o;
}

// The rows of an epoch as one process sees them.
struct SeenEpoch {
  std::vector<std::vector<std::int32_t>> labels;
  std::vector<std::vector<std::int64_t>> indices, drawn;
  std::vector<std::vector<std::uint8_t>> bytes;
};

SeenEpoch epoch_of_source(BatchSource& source, std::uint32_t epoch, std::int64_t first) {
  SeenEpoch seen;
  source.start_epoch(epoch, first);
  while (source.next()) {
    seen.labels.push_back(source.labels());
    seen.indices.push_back(source.indices());
    seen.drawn.push_back(source.drawn());
    seen.bytes.emplace_back(source.bytes().begin(), source.bytes().end());
  }
  return seen;
}

std::vector<std::int64_t> indices_of(const std::vector<BadImage>& images) {
  std::vector<std::int64_t> indices;
  for (const BadImage& image : images) indices.push_back(image.index);
  return indices;
}

// A JPEG of which the second half is missing cannot be decoded.
void cut_off(const std::string& path) {
  const std::string bytes = read_bytes(path);
  write_bytes(path, bytes.substr(0, bytes.size() / 2));
}

// The indices of two images that the first batch draws: one in its first half, one in its second, of different classes.
std::vector<std::int64_t> one_of_each_half(const Dataset& set) {
  BatchSource alone(options_in_test(), set, {});
  alone.start_epoch(0, 0);
  REQUIRE(alone.next());
  for (std::size_t i = 4; i < 8; ++i)
    if (alone.labels()[i] != alone.labels()[0]) return {alone.drawn()[0], alone.drawn()[i]};
  return {};
}

TEST_CASE("batch source: the rows of all processes are the batch of one, also in the middle of an epoch") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 14), Split::train);
  for (const std::int64_t i : one_of_each_half(set)) cut_off(set.name(i));
  const PretrainOptions o = options_in_test();
  for (const std::int64_t first : {0, 2}) {
    BatchSource alone(o, set, {});
    CHECK(alone.batches_per_epoch() == 5);
    const SeenEpoch expected = epoch_of_source(alone, 0, first);
    REQUIRE(expected.labels.size() == static_cast<std::size_t>(5 - first));
    if (first == 0) CHECK(expected.indices[0] != expected.drawn[0]);
    for (const int size : {2, 4}) {
      CAPTURE(size);
      std::vector<SeenEpoch> seen(static_cast<std::size_t>(size));
      run_processes(size, [&](const Communicator& processes) {
        BatchSource source(o, set, {});
        seen[static_cast<std::size_t>(processes.rank())] = epoch_of_source(source, 0, first);
      });
      for (std::size_t b = 0; b < expected.labels.size(); ++b) {
        std::vector<std::int32_t> labels;
        std::vector<std::int64_t> indices, drawn;
        std::vector<std::uint8_t> bytes;
        for (const SeenEpoch& of_rank : seen) {
          labels.insert(labels.end(), of_rank.labels.at(b).begin(), of_rank.labels[b].end());
          indices.insert(indices.end(), of_rank.indices[b].begin(), of_rank.indices[b].end());
          drawn.insert(drawn.end(), of_rank.drawn[b].begin(), of_rank.drawn[b].end());
        }
        for (std::ptrdiff_t view = 0; view < 2; ++view)
          for (const SeenEpoch& of_rank : seen) {
            const auto half = static_cast<std::ptrdiff_t>(of_rank.bytes[b].size() / 2);
            const auto begin = of_rank.bytes[b].begin() + view * half;
            bytes.insert(bytes.end(), begin, begin + half);
          }
        CHECK(labels == expected.labels[b]);
        CHECK(indices == expected.indices[b]);
        CHECK(drawn == expected.drawn[b]);
        CHECK(bytes == expected.bytes[b]);
      }
    }
  }
}

TEST_CASE("batch source: the processes look at the headers together") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 200), Split::train);  // three rounds of 256 images
  REQUIRE(set.size() == 600);
  const std::vector<std::int64_t> broken = {0, 7, 8, 200, 401, 598, 599};
  for (const std::int64_t i : broken) write_bytes(set.name(i), "no picture");
  const PretrainOptions o = options_in_test();
  for (const int size : {1, 2, 4}) {
    CAPTURE(size);
    std::vector<std::vector<BadImage>> found(static_cast<std::size_t>(size));
    run_processes(size, [&](const Communicator& processes) {
      BatchSource source(o, set, {});
      source.look_at_headers();
      found[static_cast<std::size_t>(processes.rank())] = source.bad_images();
    });
    for (const auto& list : found) CHECK(indices_of(list) == broken);
  }
  PretrainOptions strict = options_in_test();
  strict.max_bad = "6";
  for (const int size : {1, 2, 4}) {
    std::vector<std::string> errors(static_cast<std::size_t>(size));
    run_processes(size, [&](const Communicator& processes) {
      BatchSource source(strict, set, {});
      errors[static_cast<std::size_t>(processes.rank())] = test::error_of([&] { source.look_at_headers(); });
    });
    for (const std::string& error : errors)
      CHECK(error.find("7 images could not be decoded, more than the limit of 6") == 0);
  }
}

TEST_CASE("batch source: images that one process cannot read are known to all after they were shared") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 14), Split::train);
  std::vector<std::int64_t> broken = one_of_each_half(set);
  REQUIRE(broken.size() == 2);
  for (const std::int64_t i : broken) cut_off(set.name(i));
  std::sort(broken.begin(), broken.end());

  struct Known {
    std::vector<std::int64_t> before, after, again;
    std::string error;
  };
  for (const std::string max_bad : {"100", "1"}) {
    CAPTURE(max_bad);
    PretrainOptions o = options_in_test();
    o.max_bad = max_bad;
    std::vector<Known> known(2);
    run_processes(2, [&](const Communicator& processes) {
      Known& own = known[static_cast<std::size_t>(processes.rank())];
      BatchSource source(o, set, {});
      source.start_epoch(0, 0);
      source.next();
      own.before = indices_of(source.bad_images());
      own.error = test::error_of([&] { source.share_bad_images(processes); });
      own.after = indices_of(source.bad_images());
      source.share_bad_images(processes);  // nothing is new
      own.again = indices_of(source.bad_images());
    });
    for (const Known& own : known) {
      CHECK(own.before.size() == 1);  // its own half of the batch
      CHECK(own.after == broken);
      CHECK(own.again == broken);
      CHECK((max_bad == "100"
                 ? own.error == "no error"
                 : own.error.find("2 images could not be decoded, more than the limit of 1") == 0));
    }
    CHECK(known[0].before != known[1].before);
  }
  // One process has nobody to share with.
  BatchSource alone(options_in_test(), set, {});
  alone.start_epoch(0, 0);
  alone.next();
  CHECK(indices_of(alone.bad_images()) == broken);
  alone.share_bad_images(Communicator());
  CHECK(indices_of(alone.bad_images()) == broken);
}

// Whatever process meets them, and whichever ends the run, the first one can write them all down.
TEST_CASE("batch source: bad images are known to all at the step that meets them, and judged together") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 14), Split::train);
  std::vector<std::int64_t> broken = one_of_each_half(set);
  REQUIRE(broken.size() == 2);
  for (const std::int64_t i : broken) cut_off(set.name(i));
  std::sort(broken.begin(), broken.end());

  struct Seen {
    std::string drawing, sharing;  // errors
    std::vector<std::int64_t> bad;
  };
  // One limit is passed by each process alone, one by both together, and one by none.
  for (const std::string max_bad : {"0", "1", "2"}) {
    CAPTURE(max_bad);
    PretrainOptions o = options_in_test();
    o.max_bad = max_bad;
    std::vector<Seen> seen(2);
    run_processes(2, [&](const Communicator& processes) {
      Seen& own = seen[static_cast<std::size_t>(processes.rank())];
      BatchSource source(o, set, {});
      source.start_epoch(0, 0);
      own.drawing = test::error_of([&] { source.next(); });
      own.sharing = test::error_of([&] { whole_batch(processes, source); });
      own.bad = indices_of(source.bad_images());
    });
    for (const Seen& own : seen) {
      CHECK(own.drawing == "no error");
      CHECK(own.bad == broken);
      CHECK((max_bad == "2" ? own.sharing == "no error"
                            : own.sharing.find("2 images could not be decoded, more than the limit of ") == 0));
    }
  }
}

TEST_CASE("batch source: a bad image of the first process leaves the rows of the others as they are") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 14), Split::train);
  const PretrainOptions o = options_in_test();
  BatchSource sound(o, set, {});
  sound.start_epoch(0, 0);
  REQUIRE(sound.next());
  cut_off(set.name(sound.drawn()[0]));

  BatchSource alone(o, set, {});
  alone.start_epoch(0, 0);
  REQUIRE(alone.next());
  run_processes(4, [&](const Communicator& processes) {
    BatchSource source(o, set, {});
    source.start_epoch(0, 0);
    source.next();
    const WholeBatch batch = whole_batch(processes, source);
    CHECK(batch.labels == alone.labels());
    CHECK(batch.indices == alone.indices());
    CHECK(batch.drawn == alone.drawn());
  });
}

TEST_CASE("batch source: what one process alone cannot read, all know before it ends the run") {
  const TemporaryFolder folder;
  const Dataset set = *open_dataset(draw_tiny_set(folder, 3, 14), Split::train);
  PretrainOptions o = options_in_test();
  // The image that the last process reads first is the only bad one, and with --strict ends the run.
  BatchSource alone(o, set, {});
  alone.start_epoch(0, 0);
  REQUIRE(alone.next());
  const std::int64_t broken = alone.drawn()[6];
  cut_off(set.name(broken));
  for (const bool strict : {false, true}) {
    CAPTURE(strict);
    o.strict = strict;
    std::vector<std::string> errors(4);
    std::vector<std::vector<std::int64_t>> bad(4);
    run_processes(4, [&](const Communicator& processes) {
      const auto rank = static_cast<std::size_t>(processes.rank());
      BatchSource source(o, set, {});
      source.start_epoch(0, 0);
      source.next();
      errors[rank] = test::error_of([&] { whole_batch(processes, source); });
      bad[rank] = indices_of(source.bad_images());
    });
    for (const std::string& error : errors)
      CHECK((strict ? error.find("and no bad image is accepted") != std::string::npos : error == "no error"));
    for (const auto& list : bad) CHECK(list == std::vector<std::int64_t>{broken});
  }
}

}  // namespace
}  // namespace kindred
