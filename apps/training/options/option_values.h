// What the rows of option_rows.cpp accept, and how their values are read from texts.
#pragma once

#include <kindred/apps/processes/start.h>  // defines: most_processes
#include <kindred/apps/training/options/pretrain_options.h>
#include <kindred/layers/image_input/image_input.h>
#include <kindred/models/resnet.h>

#include <cmath>
#include <cstdint>
#include <string>

namespace kindred::option_values {

// ---- for OptionRow::must_be

inline bool positive(const double& v) {
  return std::isfinite(v) && v > 0;
}
inline bool not_negative(const double& v) {
  return std::isfinite(v) && v >= 0;
}
inline bool share_below_one(const double& v) {
  return v >= 0 && v < 1;
}
inline bool at_least_one(const std::int64_t& v) {
  return v >= 1;
}
inline bool at_least_zero(const std::int64_t& v) {
  return v >= 0;
}
inline bool number_of_processes(const std::int64_t& v) {
  return v >= 1 && static_cast<double>(v) <= most_processes;
}
template <std::int64_t least, std::int64_t most>
bool within(const std::int64_t& v) {
  return v >= least && v <= most;
}

// ---- for OptionRow::text; those that read throw Error(usage)

template <typename T>
std::string name_text(const T& value) {
  return name(value);
}

inline std::string known_model(const std::string& text) {
  return resnet_spec(text).name;
}

inline std::string known_pixels(const std::string& text) {
  pixel_statistics(text);
  return text;
}

inline CheckpointInterval interval_or_none(const std::string& text) {
  return text.empty() ? CheckpointInterval{} : CheckpointInterval::parse(text);
}

}  // namespace kindred::option_values
