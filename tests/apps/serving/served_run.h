// A small run with a probe, as `serve` takes it, and forms with files.
#pragma once

#include "../programs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace kindred {

// Made once for all cases.
struct ServedRun {
  TemporaryFolder folder;
  std::string set = draw_tiny_set(folder, 3, 16), run = folder / "run", probe = run + "/probe";
  std::vector<std::string> images;

  ServedRun() {
    REQUIRE(run_program("pretrain", set + " --out " + run + tiny).code == 0);
    REQUIRE(
        run_program("linear_probe", set + " --encoder " + run + " --out " + probe + " --epochs 3 -b 8").code ==
        0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(set + "/train"))
      if (entry.is_regular_file()) images.push_back(entry.path());
    std::sort(images.begin(), images.end());
    REQUIRE(images.size() == 48);
  }
  std::string flags() const { return run + " --classifier " + probe; }
};

inline const ServedRun& served_run() {
  static const ServedRun run;
  return run;
}

// A part of a form; the form ends with "--B--".
inline std::string one_file(const std::string& name, const std::string& bytes) {
  return "--B\r\nContent-Disposition: form-data; name=\"i\"; filename=\"" + name + "\"\r\n\r\n" + bytes +
         "\r\n";
}

inline const std::string form_type = "Content-Type: multipart/form-data; boundary=B\r\n";

}  // namespace kindred
