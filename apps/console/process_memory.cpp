#include <kindred/apps/console/process_memory.h>

#include <fstream>
#include <string>

namespace kindred {
namespace {

std::size_t status_line(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key)) return std::stoull(line.substr(line.find(':') + 1)) << 10;  // kibibytes
  return 0;
}

}  // namespace

std::size_t resident_bytes() {
  return status_line("VmRSS");
}
std::size_t peak_resident_bytes() {
  return status_line("VmHWM");
}

}  // namespace kindred
