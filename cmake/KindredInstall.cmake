# cmake --install: programs, headers under include/kindred/ as in the tree, the library, and what find_package(kindred)
# needs. The library is static, so whoever links it needs what it links: kindredConfig.cmake looks for that.
include(CMakePackageConfigHelpers)

set(kindred_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kindred)

install(TARGETS kindred EXPORT kindredTargets)
foreach(room engine layers losses models data)
  install(DIRECTORY ${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/kindred FILES_MATCHING PATTERN "*.h")
endforeach()
install(EXPORT kindredTargets NAMESPACE kindred:: DESTINATION ${kindred_package_dir})

configure_package_config_file(cmake/kindredConfig.cmake.in ${PROJECT_BINARY_DIR}/kindredConfig.cmake
                              INSTALL_DESTINATION ${kindred_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/kindredConfig.cmake ${PROJECT_BINARY_DIR}/kindredConfigVersion.cmake
              cmake/FindOneDNN.cmake
        DESTINATION ${kindred_package_dir})
