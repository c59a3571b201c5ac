#include <kindred/engine/cpu/processor_name.h>

#include <fmt/core.h>

#include <string_view>

namespace kindred {
namespace {

struct ArmProcessor {
  std::string_view implementer, part, name;
};
// From the manuals of these cores.
constexpr ArmProcessor arm_processors[] = {
    {"0x41", "0xd08", "Arm Cortex-A72"},  {"0x41", "0xd0c", "Arm Neoverse N1"}, {"0x41", "0xd40", "Arm Neoverse V1"},
    {"0x41", "0xd49", "Arm Neoverse N2"}, {"0x41", "0xd4f", "Arm Neoverse V2"}, {"0x41", "0xd84", "Arm Neoverse V3"},
    {"0x41", "0xd8e", "Arm Neoverse N3"}, {"0xc0", "0xac3", "AmpereOne"},
};

// "0xd0c" of the line "CPU part	: 0xd0c".
std::string value_of(const std::string& line) {
  const std::size_t colon = line.find(':');
  return colon + 2 < line.size() ? line.substr(colon + 2) : std::string();
}

}  // namespace

std::string processor_name(std::istream& cpuinfo) {
  std::string implementer, part;
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) return value_of(line);
    if (line.starts_with("CPU implementer")) implementer = value_of(line);
    if (line.starts_with("CPU part")) part = value_of(line);
  }
  for (const ArmProcessor& known : arm_processors)
    if (known.implementer == implementer && known.part == part) return std::string(known.name);
  if (implementer.empty()) return "unknown processor";
  return fmt::format("Arm processor (implementer {}, part {})", implementer, part);
}

}  // namespace kindred
