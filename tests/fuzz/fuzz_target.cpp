#include "fuzz_target.h"

#include <filesystem>
#include <fstream>

namespace kindred::fuzz {

std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

void write_seeds(const std::string& folder) {
  std::filesystem::create_directories(folder);
  int count = 0;
  for (const Bytes& seed : targets().front().seeds()) {
    const auto path = std::filesystem::path(folder) / ("seed_" + std::to_string(count++));
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    if (!file.flush()) {
      std::fprintf(stderr, "%s: cannot be written\n", path.c_str());
      std::exit(1);
    }
  }
}

}  // namespace kindred::fuzz
