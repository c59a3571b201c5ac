// The first thing that a program says: what it computes on, and why. And what was wrong with the images, last.
#pragma once

#include <kindred/data/sample_reader.h>
#include <kindred/engine/precision.h>

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace kindred {

// Texts of --help.
inline constexpr const char* device_help = "auto (a GPU where one answers), cpu, cuda or reference";
inline constexpr const char* precision_help = "f32, tf32, bf16 or f16 (bf16 on a GPU, f32 elsewhere)";

// The precision that was asked for, or the device's default. Error(usage) for one that is unknown or that the
// device lacks. A processor on which oneDNN has no bf16 computes in f32 in its place, and a line on standard
// error says so.
Precision precision_for(const std::optional<std::string>& asked, Device device);

// Of --version: the program's own, then describe_cuda(), a line each.
std::string version_report();

// Prints the device, the reason for it, its libraries, and the precision (to `out`, where standard output is
// for results).
void report_device(const DeviceChoice& choice, const Precision& precision, std::FILE* out = stdout);

// A line for each image that was not ok: path, outcome, reason, separated by tabs. The file is there even when
// all images were fine, with its header alone. `known` are the lines of an earlier file of the same run, kept
// where they say something else. Error(io).
void write_bad_images(const std::filesystem::path& path, const std::vector<BadImage>& images,
                      const std::vector<std::string>& known = {});

}  // namespace kindred
