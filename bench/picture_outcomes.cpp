// Decodes each file that standard input names, each in its own process, and reports on standard output outcome
//   TAB format TAB height TAB width TAB milliseconds TAB bytes held beyond file and pixels TAB reason
// and with --pixels the raw RGB pixels after each line. A file that kills its process is reported
// as "crashed". For tests/golden/compare_with_pillow.py.
#include <fmt/core.h>
#include <kindred/data/files/file.h>
#include <kindred/data/images/decode.h>
#include <sys/mman.h>
#include <sys/resource.h>  // defines: getrusage
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <iostream>

using namespace kindred;

namespace {

long peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

void report(const std::string& path, bool pixels) {
  const long before = peak_bytes();
  const auto start = std::chrono::steady_clock::now();
  const FileContent file = read_file(path, DecodeLimits().max_file_bytes);
  const ImageFormat format = probe_image(file.bytes).format;
  const Decoded d = decode_image(file.bytes);
  const double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  const long held =
      peak_bytes() - before - static_cast<long>(d.image.pixels.size()) - static_cast<long>(file.bytes.size());
  fmt::print("{}\t{}\t{}\t{}\t{:.2f}\t{}\t{}\n", outcome_name(d.outcome), format_name(format), d.image.height,
             d.image.width, ms, held, d.reason);
  if (pixels) std::fwrite(d.image.pixels.data(), 1, d.image.pixels.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const bool pixels = argc > 1 && std::strcmp(argv[1], "--pixels") == 0;
  for (std::string path; std::getline(std::cin, path);) {
    const pid_t child = ::fork();
    if (child == 0) {
      report(path, pixels);
      ::_exit(0);
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || status != 0) {
      fmt::print("crashed\tnone\t0\t0\t0\t0\tstatus {}\n", status);
      std::fflush(stdout);
    }
  }
}
