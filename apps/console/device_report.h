// The first lines of a program's output: what it computes on, and why. Also the list of bad images, written at
// the end.
#pragma once

#include <kindred/data/loading/sample_reader.h>
#include <kindred/engine/precision.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// Texts for --help.
inline constexpr const char* device_help = "auto (a GPU where one answers), cpu, cuda or reference";
inline constexpr const char* precision_help = "f32, tf32, bf16 or f16 (bf16 on a GPU, f32 elsewhere)";

// The same precision; but on a processor for which oneDNN has no bf16, f32 in place of bf16, and a line on
// standard error says so. Throws Error(usage) if the device does not support it.
Precision usable_precision(Precision precision, Device device);

// The requested precision, or the device's default, as usable_precision() returns it. Throws Error(usage) also
// if it is unknown.
Precision precision_for(const std::optional<std::string>& asked, Device device);

inline constexpr const char* kindred_version = "0.1.0";

// The text of --version, in lines: the program's own version, describe_cuda(), the processor and the vectors in use
// (engine/cpu/targets.h), and the formats of pictures.
std::string version_report();

// Prints the device, the reason for choosing it, its libraries, and the precision. Programs whose results go to
// standard output pass another `out`.
void report_device(const DeviceChoice& choice, const Precision& precision, std::FILE* out = stdout);

// Writes one line for each image that was not ok: path, outcome and reason, separated by tabs. The file is
// always written; if all images were fine, it has only the header. `known` are the lines of an earlier file of
// the same run; those about other problems are kept. Throws Error(io).
void write_bad_images(const std::filesystem::path& path, const std::vector<BadImage>& images,
                      const std::vector<std::string>& known = {});

}  // namespace kindred
