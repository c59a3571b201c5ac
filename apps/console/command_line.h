// Parses the command line with CLI11, so that a wrong flag ends with the same single line and exit code in
// every program.
#pragma once

#include <kindred/apps/console/device_report.h>
#include <kindred/engine/error.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

// Parses the arguments. Returns an exit code if the program should end at once (--help, --version), and nullopt
// if it should continue. Throws Error(usage) for arguments that cannot be understood.
inline std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", version_report);
  app.get_formatter()->column_width(34);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // CLI11 throws this for --help and --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (char& c : message)
      if (c == '\n') c = ' ';
    fail(ExitCode::usage, "{} (see --help)", message);
  }
}

// A seed: an integer that a JSON file can store exactly.
inline void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& help) {
  app.add_option("--seed", seed, help)->capture_default_str()->check(CLI::Range(0.0, 9007199254740992.0));
}

}  // namespace kindred
