#include <kindred/engine/cuda/emulation/places.h>

#include <fmt/core.h>
#include <link.h>    // defines: dl_iterate_phdr
#include <unistd.h>  // defines: getpid

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace kindred::cuda::emulation {
namespace {

// The lines that addr2line (binutils) prints for an address of this program: a function and a place alternate,
// innermost first.
const std::vector<std::string>& ask_addr2line(std::uintptr_t address) {
  static std::mutex mutex;
  static std::map<std::uintptr_t, std::vector<std::string>> known;
  const std::lock_guard lock(mutex);
  std::vector<std::string>& lines = known[address];
  if (!lines.empty()) return lines;
  const std::string command = fmt::format("addr2line -C -f -i -e /proc/{}/exe {:#x} 2>/dev/null", getpid(),
                                          address - program_image().base);
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (pipe == nullptr) return lines;
  std::array<char, 4096> line;
  while (fgets(line.data(), line.size(), pipe.get()) != nullptr) {
    lines.emplace_back(line.data());
    while (!lines.back().empty() && lines.back().back() == '\n') lines.back().pop_back();
  }
  return lines;
}

}  // namespace

Image program_image() {
  Image image;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* result) {
        auto& found = *static_cast<Image*>(result);
        found.base = info->dlpi_addr;
        found.begin = ~std::uintptr_t{0};
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& part = info->dlpi_phdr[i];
          const std::uintptr_t begin = info->dlpi_addr + part.p_vaddr;
          if (part.p_type == PT_LOAD) {
            found.begin = std::min<std::uintptr_t>(found.begin, begin);
            found.end = std::max<std::uintptr_t>(found.end, begin + part.p_memsz);
          }
          if (part.p_type == PT_TLS) {
            found.thread_locals = reinterpret_cast<std::uintptr_t>(info->dlpi_tls_data);
            found.thread_local_bytes = part.p_memsz;
          }
        }
        return 1;  // the first entry is the program itself
      },
      &image);
  return image;
}

std::string in_tree(std::string path) {
  const std::string root = "include/kindred/";
  const std::size_t at = path.rfind(root);
  if (at != std::string::npos) path.erase(0, at + root.size());
  return path;
}

std::string line_of(std::uintptr_t address) {
  const std::vector<std::string>& lines = ask_addr2line(address - 1);
  std::string text;
  for (std::size_t i = 1; i < lines.size(); i += 2) {
    std::string place = in_tree(lines[i]);
    place.erase(std::min(place.size(), place.find(" (discriminator")));
    // Places in the emulation or in the standard library tell nothing to the user.
    if (place.find("engine/cuda/emulation/emulation.h:") == 0 || place.find("/c++/") != std::string::npos)
      continue;
    if (place.find("engine/cuda/launch.h:") == 0 && lines[i - 1].find("launch<") != std::string::npos) break;
    text += (text.empty() ? "" : ", called at ") + place;
  }
  return text.empty() ? fmt::format("address {:#x} of the program", address - program_image().base) : text;
}

std::string kernel_name(const void* kernel) {
  const std::vector<std::string>& lines = ask_addr2line(reinterpret_cast<std::uintptr_t>(kernel));
  if (lines.empty() || lines[0] == "??") return fmt::format("{}", kernel);
  std::string name = lines[0];
  // Shortens "void kindred::(anonymous namespace)::fill_kernel<float>(float*, double, long)": it removes the
  // parameters, the namespaces and the result type.
  for (std::size_t at; (at = name.find("(anonymous namespace)::")) != std::string::npos;)
    name.erase(at, std::string("(anonymous namespace)::").size());
  name.erase(std::min(name.size(), name.find('(')));
  const std::size_t arguments = std::min(name.size(), name.find('<'));
  const std::size_t start = name.find_last_of(" :", arguments == 0 ? 0 : arguments - 1);
  return start == std::string::npos ? name : name.substr(start + 1);
}

}  // namespace kindred::cuda::emulation
