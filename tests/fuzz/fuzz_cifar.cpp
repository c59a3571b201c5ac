// CIFAR's binary files and class lists: what is accepted is whole records with labels in range.
#include "fuzz_target.h"

#include <kindred/data/sets/dataset_sources.h>
#include <kindred/engine/error.h>

#include <algorithm>

using namespace kindred;

namespace {

template <typename Parse>
void parse(const Parse& parse_it) {
  try {
    parse_it();
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::data);
  }
}

void run(std::span<const std::uint8_t> bytes) {
  for (const int classes : {10, 100}) {
    const std::size_t record = classes == 10 ? 3073 : 3074;
    parse([&] {
      const auto labels = detail::parse_cifar_labels(bytes, classes, "fuzz.bin");
      KINDRED_FUZZ_CHECK(labels.size() * record == bytes.size());
      for (const std::int32_t label : labels) KINDRED_FUZZ_CHECK(label >= 0 && label < classes);
    });
    parse([&] {
      for (const std::string& name : detail::parse_cifar_classes(bytes, classes, "fuzz.txt"))
        KINDRED_FUZZ_CHECK(name.find('\n') == std::string::npos);
    });
  }
}

std::vector<fuzz::Bytes> seeds() {
  fuzz::Bytes ten(2 * 3073, 3), hundred(3 * 3074, 77), names;
  for (const char c : std::string("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n"))
    names.push_back(static_cast<std::uint8_t>(c));
  return {ten, hundred, names};
}

}  // namespace

KINDRED_FUZZ_TARGET(cifar, run, seeds)
