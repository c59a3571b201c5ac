# Decides whether libkindred_mpi.so is built, with which runs of several processes call MPI (third_party/mpi). Afterwards
# KINDRED_MPI is ON or OFF, and KINDRED_WITHOUT_MPI says why it is not.
#
# Nothing else is linked with MPI: programs open the module when a run has more than one process.
set(KINDRED_WITHOUT_MPI "")  # without semicolons
if(NOT KINDRED_MPI MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "KINDRED_MPI is ${KINDRED_MPI}; expected ON, OFF or AUTO")
endif()
if(KINDRED_MPI STREQUAL "OFF")
  set(KINDRED_WITHOUT_MPI "this build leaves MPI out: configure it with -DKINDRED_MPI=ON and build again")
else()
  set(MPI_CXX_SKIP_MPICXX ON)
  find_package(MPI QUIET COMPONENTS CXX)
  if(MPI_CXX_FOUND)
    set(KINDRED_MPI ON)
  elseif(KINDRED_MPI STREQUAL "ON")
    message(FATAL_ERROR "KINDRED_MPI=ON needs mpi.h and its library: install libopenmpi-dev, or put the mpicxx of your MPI on "
                        "the PATH")
  else()
    set(KINDRED_MPI OFF)
    set(KINDRED_WITHOUT_MPI
        "this build was made without mpi.h: install libopenmpi-dev and openmpi-bin, and build again in a new folder")
    message(STATUS "Without mpi.h: runs of several processes will be refused")
  endif()
endif()
