# SPDX-License-Identifier: Apache-2.0
# find_package(tributary) from outside.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/tributary")
configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/tributary-config.cmake.in"
  "${PROJECT_BINARY_DIR}/tributary-config.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tributary-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/tributary-config.cmake" "${PROJECT_BINARY_DIR}/tributary-config-version.cmake"
  DESTINATION "${package_dir}")
install(EXPORT tributary NAMESPACE tributary:: FILE tributary-targets.cmake DESTINATION "${package_dir}")
