# cmake --install: programs, headers under include/kindred/ as in the tree, the library, and what find_package(kindred)
# needs. The library is static, so whoever links it needs what it links: kindredConfig.cmake looks for that.
include(CMakePackageConfigHelpers)
include(KindredHeaders)

set(kindred_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kindred)

install(TARGETS kindred EXPORT kindredTargets)
kindred_public_headers(headers)
foreach(header IN LISTS headers)
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kindred/${folder})
endforeach()
install(EXPORT kindredTargets NAMESPACE kindred:: DESTINATION ${kindred_package_dir})

configure_package_config_file(cmake/kindredConfig.cmake.in ${PROJECT_BINARY_DIR}/kindredConfig.cmake
                              INSTALL_DESTINATION ${kindred_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kindredConfig.cmake ${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake
              cmake/FindOneDNN.cmake
        DESTINATION ${kindred_package_dir})
