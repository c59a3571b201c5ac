// The name of a processor, for reports.
#pragma once

#include <istream>
#include <string>

namespace kindred {

// `cpuinfo` is the text of /proc/cpuinfo. On Arm it holds numbers and no name (MIDR_EL1 in Arm's reference manuals): of common
// servers the name is known, of others the numbers are given. "unknown processor" if there are neither.
std::string processor_name(std::istream& cpuinfo);

}  // namespace kindred
