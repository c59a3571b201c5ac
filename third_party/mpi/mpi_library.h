// Finds and opens libkindred_mpi.so, the module that calls MPI (calls.h), when a run has more than one process. A program
// that trains alone never opens it, and needs no MPI on its machine.
//
// Where it is looked for: third_party/search/program_module.h. KINDRED_MPI_MODULE may have the path of the file.
#pragma once

#include <kindred/third_party/mpi/calls.h>

#include <string>

namespace kindred {

// The first call opens the module. Throws Error(device), which says what is missing and what to install.
const MpiCalls& mpi_calls();

bool mpi_module_found();        // whether there is such a file
std::string why_no_mpi();       // "" if the module opens; else the message of that error
std::string mpi_description();  // "Open MPI 4.1.4"

// From MPI's own words, "Open MPI v4.1.4, package: ...": "Open MPI 4.1.4". The first words of what is unknown.
std::string mpi_name(const std::string& library);

// Throws Error(lost) with MPI's text, unless the code is 0.
void check_mpi(int code, const char* call);

}  // namespace kindred
