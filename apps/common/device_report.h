// The first thing that a program says: what it computes on, and why. And what was wrong with the images, last.
#pragma once

#include <kindred/data/sample_reader.h>
#include <kindred/engine/device.h>
#include <kindred/engine/dtype.h>

#include <cstdio>
#include <filesystem>
#include <vector>

namespace kindred {

// Prints the device, the reason for it, cores and precision (to `out`, where standard output is for results).
// Error(usage) for a precision that the device lacks.
void report_device(const DeviceChoice& choice, DType precision, std::FILE* out = stdout);

// A line for each image that was not ok: path, outcome, reason, separated by tabs. The file is there even when
// all images were fine, with its header alone. `known` are the lines of an earlier file of the same run, kept
// where they say something else. Error(io).
void write_bad_images(const std::filesystem::path& path, const std::vector<BadImage>& images,
                      const std::vector<std::string>& known = {});

}  // namespace kindred
