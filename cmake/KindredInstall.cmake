# cmake --install: bin/kindred, headers under include/kindred/ as in the tree, the library, and what find_package(kindred)
# needs. The library is static, so whoever links it needs what it links: kindredConfig.cmake looks for that.
include(CMakePackageConfigHelpers)

set(kindred_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kindred)

install(TARGETS kindred EXPORT kindredTargets)
install(CODE "
  include(\"${PROJECT_SOURCE_DIR}/cmake/KindredHeaders.cmake\")
  kindred_public_headers(headers \"${PROJECT_SOURCE_DIR}\")
  foreach(header IN LISTS headers)
    get_filename_component(folder \"\${header}\" DIRECTORY)
    file(INSTALL \"${PROJECT_SOURCE_DIR}/\${header}\"
         DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_INCLUDEDIR}/kindred/\${folder}\")
  endforeach()
")
# The part of CUDA that is linked into every program that uses the library. NVIDIA's licence lets it be passed on with one.
# So nobody needs the toolkit who has the installed library.
set(kindred_cuda_runtime ${CMAKE_INSTALL_LIBDIR}/kindred/libcudart_static.a)
if(KINDRED_CUDA)
  install(FILES $<TARGET_FILE:CUDA::cudart_static> DESTINATION ${CMAKE_INSTALL_LIBDIR}/kindred RENAME libcudart_static.a)
endif()
# Opened by programs when a run has several processes.
if(KINDRED_MPI)
  install(TARGETS kindred_mpi LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kindred COMPONENT programs)
endif()
install(EXPORT kindredTargets NAMESPACE kindred:: DESTINATION ${kindred_package_dir})

configure_package_config_file(cmake/kindredConfig.cmake.in ${PROJECT_BINARY_DIR}/kindredConfig.cmake
                              INSTALL_DESTINATION ${kindred_package_dir} PATH_VARS kindred_cuda_runtime)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kindredConfig.cmake ${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake
              cmake/FindOneDNN.cmake
        DESTINATION ${kindred_package_dir})
