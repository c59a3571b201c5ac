# Toolchain for 64-bit Arm on a Debian machine of another kind, with Debian's cross compiler and the folder of Arm packages that
# scripts/arm.sh unpacks. Give that folder as -DKINDRED_SYSROOT=FOLDER.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES KINDRED_SYSROOT)
set(CMAKE_SYSROOT ${KINDRED_SYSROOT})

# Libraries and headers are Arm's, programs are those of this machine.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
foreach(kind LIBRARY INCLUDE PACKAGE)
  set(CMAKE_FIND_ROOT_PATH_MODE_${kind} ONLY)
endforeach()
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${KINDRED_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${KINDRED_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${KINDRED_SYSROOT}/usr/share/pkgconfig)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -L ${KINDRED_SYSROOT})

# A package's own script would choose which MPI and which BLAS is meant.
set(MPI_CXX_HEADER_DIR ${KINDRED_SYSROOT}/usr/lib/aarch64-linux-gnu/openmpi/include)
set(MPI_mpi_LIBRARY ${KINDRED_SYSROOT}/usr/lib/aarch64-linux-gnu/openmpi/lib/libmpi.so)
