// Parsing with CLI11, so that a wrong flag ends with the same one line and exit code in every program.
#pragma once

#include <kindred/apps/common/device_report.h>
#include <kindred/engine/error.h>

#include <CLI/CLI.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

// Parses; returns an exit code when the program should end at once (--help, --version), nothing when it should
// go on. Throws Error(usage) for what cannot be understood.
inline std::optional<int> parse_command_line(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", version_report);
  app.get_formatter()->column_width(34);
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::Success& success) {  // --help and --version are "errors" of this kind
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (char& c : message)
      if (c == '\n') c = ' ';
    fail(ExitCode::usage, "{} (see --help)", message);
  }
}

// A seed: a whole number that a JSON file keeps exactly.
inline void add_seed(CLI::App& app, std::uint64_t& seed, const std::string& help) {
  app.add_option("--seed", seed, help)->capture_default_str()->check(CLI::Range(0.0, 9007199254740992.0));
}

}  // namespace kindred
