// The programs on a GPU or an emulated GPU, end to end, as a user runs them.
#include <kindred/engine/files/json_text.h>
#include "../emulated_gpu.h"
#include "../gpu.h"
#include "processes/run_processes.h"
#include "programs.h"

#include <nlohmann/json.hpp>

namespace kindred {
namespace {

namespace fs = std::filesystem;

const std::string tinier = " --model resnet20 --image-size 8 -b 6 -j 1 ";

std::string encoder_of(const fs::path& run) {
  return (run / "encoder.safetensors").string();
}

// Checks that the program ran to its end, and on the GPU.
void check_ran(const ProgramResult& result) {
  CAPTURE(result.output);
  CHECK(result.code == 0);
  CHECK(says(result, "device cuda"));
}

TEST_CASE("programs on a GPU: both stages, and what reads their weights" * test::needs_gpu) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder), run = folder / "run";
  check_ran(run_program_on_gpu("pretrain", set + " --out " + run + tinier + "--epochs 1"));
  CHECK(json_file(folder / "run/config.json").at("precision") == "bf16");  // a GPU's default
  const std::string encoder = " --encoder " + encoder_of(run);
  check_ran(run_program_on_gpu("linear_probe", set + encoder + " --out " + run + "/probe --epochs 2 -b 6"));
  const auto probed = json_file(folder / "run/probe/result.json");
  CHECK(probed.at("images") == 6);
  CHECK(probed.at("top5").get<double>() == 1);  // of three classes
  const std::string features = folder / "features.npz";
  check_ran(run_program_on_gpu("embed", set + encoder + " --out " + features));
  CHECK(fs::file_size(features) > 0);
}

TEST_CASE("programs on a GPU: f32 trains to what the CPU trains to" * test::needs_gpu) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string flags = tinier + "--epochs 1 --precision f32 --seed 3 --lr 0.02 --out ";
  check_ran(run_program_on_gpu("pretrain", set + flags + (folder / "gpu").string()));
  const auto on_cpu = run_program("pretrain", set + " --device cpu" + flags + (folder / "cpu").string());
  CAPTURE(on_cpu.output);
  REQUIRE(on_cpu.code == 0);
  const auto loss = [&](const char* run) {
    return parse_json(read_bytes(folder / run / "metrics.jsonl")).at("loss").get<double>();
  };
  CHECK(loss("gpu") == doctest::Approx(loss("cpu")).epsilon(1e-3));
}

// NCCL's stand-in carries tensors between the two, within recorded steps too.
TEST_CASE("programs on an emulated GPU: two processes train what one does" * test::needs_emulation) {
  if (!has_mpi()) return;
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  // A low rate, because rounding grows with every step at a high one.
  const std::string flags = tinier + "--epochs 1 --precision f32 --seed 3 --lr 0.0003 --warmup-epochs 0 --out ";
  check_ran(run_program_on_gpu("pretrain", set + flags + (folder / "one").string()));
  const auto two = run_program_on_gpu("pretrain", set + flags + (folder / "two").string() + " --processes 2");
  check_ran(two);
  CHECK(says(two, "NCCL"));
  const auto figures = [&](const char* run) { return parse_json(read_bytes(folder / run / "metrics.jsonl")); };
  CHECK(figures("two").at("processes") == 2);
  CHECK(figures("two").at("loss").get<double>() ==
        doctest::Approx(figures("one").at("loss").get<double>()).epsilon(1e-5));
}

TEST_CASE("programs on a GPU: a run that was killed resumes to the same bytes" * test::needs_gpu) {
  const TemporaryFolder folder;
  const std::string set = draw_tiny_set(folder);
  const std::string flags = tinier + "--deterministic --epochs 3 --checkpoint-every 1 ";
  const std::string whole = folder / "whole", cut = folder / "cut";
  check_ran(run_program_on_gpu("pretrain", set + " --out " + whole + flags));
  run_until_checkpoint(set, cut, flags, true);
  check_ran(run_program_on_gpu("pretrain", set + " --out " + cut + flags + "--resume"));
  CHECK(read_bytes(encoder_of(folder / "cut")) == read_bytes(encoder_of(folder / "whole")));
}

}  // namespace
}  // namespace kindred
