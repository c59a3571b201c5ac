// Creates the folder that a program writes to.
#pragma once

#include <filesystem>
#include <string>

namespace kindred {

// Creates `folder` and those above it that are missing. Throws Error(io), which begins with `what` ("--out RUN") and says what
// to do: it names the part of the path that is no folder, if there is one.
void make_folders(const std::string& what, const std::filesystem::path& folder);

}  // namespace kindred
