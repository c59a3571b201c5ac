// Running the built programs as a user would, on a tiny set that the test draws.
#pragma once

#include "../engine/temporary_folder.h"

#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace kindred {

struct ProgramResult {
  int code = -1;       // exit code; 128 + signal when it was killed
  std::string output;  // standard output and error together
};

// Flags of the smallest run that trains something.
inline const std::string tiny = " --model resnet20 --image-size 32 -b 8 -j 1 --epochs 1 ";

// Runs `build/<preset>/apps/<program> <arguments>` through the shell, with two compute threads and without a
// GPU, because these tests expect the CPU's results.
ProgramResult run_program(const std::string& program, const std::string& arguments);

// The same under a shell prefix, for example "ulimit -f 8;".
ProgramResult run_program_with(const std::string& prefix, const std::string& program,
                               const std::string& arguments);

// Runs a program with `--device cuda`. If the GPU is emulated, it is the program that was built with the
// emulation.
ProgramResult run_program_on_gpu(const std::string& program, const std::string& arguments,
                                 const std::string& prefix = "");

// Runs this test program again, under a shell prefix.
ProgramResult run_these_tests(const std::string& prefix, const std::string& arguments);

// Runs `pretrain` and kills it, without a chance to clean up, as soon as its first checkpoint is there.
void run_until_checkpoint(const std::string& set, const std::string& run, const std::string& flags,
                          bool on_gpu = false);

// Runs a program and sends it a signal when it opens the first file of a folder, so in the middle of its work.
// `env_flags` are flags of the command `env` that starts it.
ProgramResult run_until_it_opens(const std::string& folder, int signal, const std::string& program,
                                 const std::string& arguments, const std::string& env_flags = "");

// Returns true if the output has at most one line after "error:", as for every error that a user sees.
bool is_one_line_error(const ProgramResult& result);

// A tiny class-folder set under `folder`/set: `classes` classes of `per_class` images of 32x32 and a quarter as
// many for validation. Returns its path.
std::string draw_tiny_set(const TemporaryFolder& folder, int classes = 3, int per_class = 8);

// Returns true if `export` can write ONNX; otherwise prints a line.
bool has_onnx();

// Returns true if the output contains the text.
bool says(const ProgramResult& result, const std::string& text);

// Names, sizes and contents of everything under a folder, as one number.
std::size_t folder_fingerprint(const std::filesystem::path& folder);

// The paths below a folder of everything in it, with the bytes of files; folders have none.
std::map<std::string, std::string> folder_contents(const std::filesystem::path& folder);

// A file of one JSON value, and one with a value on each line.
nlohmann::json json_file(const std::filesystem::path& path);
std::vector<nlohmann::json> json_lines(const std::filesystem::path& path);

}  // namespace kindred
