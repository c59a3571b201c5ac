// A module: a shared library that is a part of the programs, in a file of its own because it is linked with outside libraries
// that few runs need. Programs open it when they first need it, so that all others start without these libraries.
//
// Looked for beside the program, in ../lib/kindred from there, and where the build puts it. For a module with a variable of the
// environment, the path in this variable comes before all of these.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace kindred {

struct ProgramModule {
  const char* file_name;        // "libkindred_mpi.so"
  const char* variable;         // of the environment, with a path; "": there is none
  std::string_view left_out{};  // why this build has no such module; empty: it has one
};

// The file; empty if there is none.
std::filesystem::path module_file(const ProgramModule& module);

// Why there is none, as the end of a sentence.
std::string why_no_module(const ProgramModule& module);

}  // namespace kindred
