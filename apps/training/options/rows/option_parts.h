// The table of option_rows.cpp in parts, whose order is that of --help. Those that have files of their own are declared
// here; for all of them, short names of what rows are made of.
#pragma once

#include <kindred/apps/training/options/option_rows.h>
#include <kindred/apps/training/options/option_values.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kindred::option_parts {

using namespace option_values;

using G = GivenOptions;
using O = PretrainOptions;
using Text = OptionRow<std::string>;
using Count = OptionRow<std::int64_t>;
using Number = OptionRow<double>;
using Switch = OptionRow<bool>;

std::vector<AnyOptionRow> model_rows();      // --out to --epochs: what is trained, and on how much
std::vector<AnyOptionRow> optimizer_rows();  // --optimizer to --warmup-start-lr
std::vector<AnyOptionRow> machine_rows();    // --deterministic to --gradient-wire: threads, processes and GPUs

}  // namespace kindred::option_parts
