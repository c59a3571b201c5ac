// A module: a shared library that is a part of the programs, in a file of its own because it is linked with outside libraries
// that few runs need. Programs open it when they first need it, so that all others start without these libraries.
//
// Looked for beside the program, in ../lib/kindred from there, and where the build puts it. For a module with a variable of the
// environment, the path in this variable comes before all of these.
#pragma once

#include <kindred/engine/error.h>
#include <kindred/third_party/search/dynamic_library.h>

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

// What is said if a module does not open: "searching needs FAISS, and <why>; <advice>".
struct ModuleUse {
  const char* need;     // "searching needs FAISS"
  const char* library;  // "FAISS"
  const char* advice;   // what to install
  ExitCode code;
};

// Opens the module. Throws Error(use.code).
DynamicLibrary open_module(const ProgramModule& module, const ModuleUse& use);

// The table of this name in the module, whose version must be the program's: both are of one build. Throws Error(use.code).
template <typename Calls>
const Calls& calls_of_module(const ProgramModule& module, const ModuleUse& use, const char* table,
                             int version) {
  const DynamicLibrary library = open_module(module, use);
  const Calls* calls = nullptr;
  library.load(calls, table);
  check(calls->version == version, use.code,
        "{} has version {} of Kindred's calls of {}; this program needs {}: install both from one build",
        library.path().string(), calls->version, use.library, version);
  return *calls;
}

}  // namespace kindred
