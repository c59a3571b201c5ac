# `cpack` in the build folder: one .tar.gz that is unpacked anywhere on an x86-64 Linux with a C library no older than this
# machine's, and runs without anything installed.
#
#   bin/kindred  the programs
#   lib/         the shared libraries that they need, except the C library; licenses/ holds their copyright files, and those of
#                what is in the programs (FAISS, Chart.js, the font); kindred/ the modules that call MPI, FAISS and cpp-httplib
#   share/kindred/   the tests and benchmarks with what they read, and scripts/gpu_flight.sh; bin/ also has a link to
#                    bin/kindred for each program
#
# MPI is not in it: a run of several processes takes the Open MPI of the machine, as its launcher belongs to it. Nor are
# CUDA's libraries, cuDNN and the driver: the programs find them as third_party/search/library_search.h says.
#
# A component of its own, so that a plain `cmake --install` does not copy the system's libraries.
set(kindred_share ${CMAKE_INSTALL_DATADIR}/kindred)
if(KINDRED_TESTS AND KINDRED_BENCH)
  install(TARGETS kindred_tests bench_train_step bench_loss DESTINATION ${kindred_share}/bin COMPONENT portable
          EXCLUDE_FROM_ALL)
endif()
install(DIRECTORY tests/golden DESTINATION ${kindred_share}/tests COMPONENT portable EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN "*.json" PATTERN "*.png")
install(FILES docs/recipes.md DESTINATION ${kindred_share}/docs COMPONENT portable EXCLUDE_FROM_ALL)
install(DIRECTORY bench DESTINATION ${kindred_share} COMPONENT portable EXCLUDE_FROM_ALL FILES_MATCHING PATTERN "*.py")
install(PROGRAMS scripts/gpu_flight.sh scripts/run_packed_tests.sh DESTINATION ${kindred_share}/scripts
        COMPONENT portable EXCLUDE_FROM_ALL)
install(DIRECTORY scripts/flight DESTINATION ${kindred_share}/scripts COMPONENT portable EXCLUDE_FROM_ALL
        FILES_MATCHING PATTERN "*.py")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION . COMPONENT portable EXCLUDE_FROM_ALL)

# The modules that are built (cmake/KindredModules.cmake), without that of MPI.
set(packed_modules "")
foreach(module kindred_faiss kindred_http)
  if(TARGET ${module})
    list(APPEND packed_modules $<TARGET_FILE:${module}>)
  endif()
endforeach()
list(JOIN packed_modules " " packed_modules)
if(packed_modules)
  set(packed_modules "MODULES ${packed_modules}")
endif()

install(CODE "
  file(GET_RUNTIME_DEPENDENCIES
    EXECUTABLES $<TARGET_FILE:kindred_program>
    ${packed_modules}
    RESOLVED_DEPENDENCIES_VAR libraries
    PRE_EXCLUDE_REGEXES \"^(libc|libm|libdl|librt|libpthread|libresolv)[.]so\" \"^ld-linux\" \"^libcuda[.]so\")
  set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
  foreach(library IN LISTS libraries)
    file(INSTALL \${library} DESTINATION \${prefix}/${CMAKE_INSTALL_LIBDIR} FOLLOW_SYMLINK_CHAIN)
    file(REAL_PATH \${library} real)
    execute_process(COMMAND dpkg-query -S \${real} OUTPUT_VARIABLE owner ERROR_QUIET)
    string(REGEX REPLACE \"[:,].*\" \"\" owner \"\${owner}\")
    if(owner AND EXISTS /usr/share/doc/\${owner}/copyright)
      file(REAL_PATH /usr/share/doc/\${owner}/copyright copyright)  # some are links to another package's
      file(INSTALL \${copyright} DESTINATION \${prefix}/${CMAKE_INSTALL_LIBDIR}/licenses RENAME \${owner})
    endif()
  endforeach()
  # What is in the programs themselves.
  foreach(owner fonts-dejavu-core libjs-chart.js libfaiss-dev libstb-dev)
    if(EXISTS /usr/share/doc/\${owner}/copyright)
      file(REAL_PATH /usr/share/doc/\${owner}/copyright copyright)
      file(INSTALL \${copyright} DESTINATION \${prefix}/${CMAKE_INSTALL_LIBDIR}/licenses RENAME \${owner})
    endif()
  endforeach()
" COMPONENT portable EXCLUDE_FROM_ALL)

set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_FILE_NAME kindred-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};kindred;programs;/" "${PROJECT_BINARY_DIR};kindred;portable;/")
set(CPACK_VERBATIM_VARIABLES ON)
include(CPack)
