// Checkpoints: an accepted file gives a valid position, and either all of a model's tensors or none. The
// checksum would stop a fuzzer, so each input is tried unchanged and with a corrected checksum.
#include "fuzz_target.h"
#include "one_file.h"

#include <kindred/apps/training/run/checkpoint.h>
#include <kindred/engine/error.h>
#include <kindred/engine/files/safetensors_checksum.h>
#include <kindred/engine/optimizer/optimizer.h>

#include <algorithm>
#include <cstring>

using namespace kindred;

namespace {

struct SmallRun {
  ParameterStore store;
  std::unique_ptr<Optimizer> optimizer;

  SmallRun() {
    store.add("w", {2, 3}, ParameterKind::weight, normal_init(1));
    store.add_buffer("bn.running_mean", {3}, 0.5f);
    store.allocate(Device::cpu, 1);
    optimizer = std::make_unique<Optimizer>(store, SgdOptions{.momentum = 0.9});
  }
};

const fuzz::OneFile& file() {
  static const fuzz::OneFile one("kindred_fuzz_checkpoint");
  return one;
}

void take(std::span<const std::uint8_t> bytes) {
  static SmallRun run;
  file().write(bytes);
  try {
    const Checkpoint checkpoint(file().path());
    const RunState& state = checkpoint.run();
    KINDRED_FUZZ_CHECK(state.epochs_done >= 0 && state.batches_done >= 0 && state.steps_done >= 0);
    KINDRED_FUZZ_CHECK(state.metrics.size() == static_cast<std::size_t>(state.epochs_done));
    state.to_json().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    checkpoint.restore(run.store, run.optimizer->state());
  } catch (const Error& error) {
    KINDRED_FUZZ_CHECK(error.code() == ExitCode::file);
  }
}

void run(std::span<const std::uint8_t> bytes) {
  take(bytes);
  std::uint64_t header_bytes = 0;
  if (bytes.size() < sizeof header_bytes) return;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  if (header_bytes > bytes.size() - sizeof header_bytes) return;
  fuzz::Bytes right(bytes.begin(), bytes.end());
  const auto header = right.begin() + sizeof header_bytes;
  const auto header_end = header + static_cast<std::ptrdiff_t>(header_bytes);
  const std::string key = std::string("\"") + safetensors_checksum_key + "\":\"";
  const auto at = std::search(header, header_end, key.begin(), key.end());
  const std::string zeros = SafetensorsChecksum::placeholder();
  if (header_end - at < static_cast<std::ptrdiff_t>(key.size() + zeros.size())) return;
  const auto digits = at + static_cast<std::ptrdiff_t>(key.size());
  std::copy(zeros.begin(), zeros.end(), digits);
  SafetensorsChecksum sum;
  sum.add(&*header, right.size() - sizeof header_bytes);
  const std::string text = sum.text();
  std::copy(text.begin(), text.end(), digits);
  take(right);
}

std::vector<fuzz::Bytes> seeds() {
  const SmallRun small;
  std::vector<fuzz::Bytes> files;
  for (const std::int64_t epochs : {0, 2}) {
    RunState state;
    state.epochs_done = epochs;
    state.batches_done = 3;
    state.steps_done = 7;
    for (std::int64_t epoch = 0; epoch < epochs; ++epoch) state.metrics.push_back({{"epoch", epoch}});
    state.data = "0123456789abcdef";
    Checkpoint(small.store, small.optimizer->state(), state).save(file().path());
    files.push_back(file().read());
  }
  return files;
}

}  // namespace

KINDRED_FUZZ_TARGET(checkpoint, run, seeds)
