# SPDX-License-Identifier: Apache-2.0
# How every target of this project is compiled: language level, warnings, sanitizers, visibility, ccache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
# Installed programs find the libraries beside them wherever the tree is moved to.
set(CMAKE_INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(TRIBUTARY_CCACHE ccache)
if(TRIBUTARY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${TRIBUTARY_CCACHE}")
endif()

add_library(tributary_build_flags INTERFACE)
target_compile_options(tributary_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  # Designated initializers name what differs from the default; that is their point.
  -Wno-missing-field-initializers
  # A fused multiply-add rounds once where two operations round twice: results would depend on the processor.
  -ffp-contract=off
  # Nobody puts other functions in the place of those of a library of ours: within one they may be called directly.
  -fno-semantic-interposition)
target_link_options(tributary_build_flags INTERFACE -Wl,-Bsymbolic-functions)
if(TRIBUTARY_WERROR)
  target_compile_options(tributary_build_flags INTERFACE -Werror)
endif()
if(TRIBUTARY_SANITIZE)
  target_compile_options(tributary_build_flags INTERFACE
    -fsanitize=${TRIBUTARY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(tributary_build_flags INTERFACE -fsanitize=${TRIBUTARY_SANITIZE})
endif()

# tributary_precompile(TARGET HEADERS...): what most sources of a target include, compiled once.
function(tributary_precompile target)
  target_precompile_headers(${target} PRIVATE ${ARGN})
  if(TRIBUTARY_CCACHE)
    # Without this ccache refuses everything that uses a precompiled header.
    set(sloppiness pch_defines,time_macros,include_file_mtime,include_file_ctime)
    set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=${sloppiness};${TRIBUTARY_CCACHE}")
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endfunction()

# tributary_add_library(NAME [SOURCES ...] LINK_PUBLIC ... LINK_PRIVATE ...)
# A shared library tributary::NAME of the folder that calls this: its sources are src/*.cpp unless named, its public
# headers include/tributary/**.hpp. What lies in internal/ is for other libraries of this project and is not installed.
function(tributary_add_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK_PUBLIC;LINK_PRIVATE" ${ARGN})
  if(NOT arg_SOURCES)
    file(GLOB arg_SOURCES CONFIGURE_DEPENDS src/*.cpp)
  endif()
  add_library(tributary_${name} SHARED ${arg_SOURCES})
  add_library(tributary::${name} ALIAS tributary_${name})
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/include/*.hpp")
  target_sources(tributary_${name} PUBLIC FILE_SET HEADERS BASE_DIRS include FILES ${headers})
  target_link_libraries(tributary_${name}
    PUBLIC ${arg_LINK_PUBLIC} PRIVATE ${arg_LINK_PRIVATE} $<BUILD_INTERFACE:tributary_build_flags>)
  target_include_directories(tributary_${name} PRIVATE src)
  if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/internal")
    target_include_directories(tributary_${name} PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/internal>")
  endif()
  target_compile_features(tributary_${name} PUBLIC cxx_std_20)
  set_target_properties(tributary_${name} PROPERTIES
    EXPORT_NAME ${name}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    VERIFY_INTERFACE_HEADER_SETS ON)
  tributary_install_target(tributary_${name})
endfunction()

function(tributary_install_target target)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "INTERFACE_LIBRARY" OR type STREQUAL "EXECUTABLE")
    install(TARGETS ${target} EXPORT tributary RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  else()
    install(TARGETS ${target} EXPORT tributary
      LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  endif()
endfunction()

# tributary_patience(VARIABLE): the seconds in it, longer where sanitizers make everything slow.
function(tributary_patience seconds)
  if(TRIBUTARY_SANITIZE)
    math(EXPR longer "${${seconds}} * 15")
    set(${seconds} ${longer} PARENT_SCOPE)
  endif()
endfunction()

# tributary_add_test(NAME folder SOURCES ... LINK ... LABELS ...): one GoogleTest program, each case a CTest test.
function(tributary_add_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} tributary_build_flags GTest::gmock_main)
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  # What takes time in a test is the library: optimising tests takes the compiler longer than they save. With so little
  # of it gcc 12 believes that strings are overrun where they are moved.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1 -Wno-array-bounds -Wno-stringop-overflow>)
  list(LENGTH arg_SOURCES count)
  if(count GREATER 4)
    tributary_precompile(${name} <gmock/gmock.h> <gtest/gtest.h> <chrono> <filesystem> <functional> <map> <memory>
      <string> <vector>)
  endif()
  # One CTest test per program: starting a process per case would cost more than the cases.
  add_test(NAME ${name} COMMAND ${name})
  tributary_patience(arg_TIMEOUT)
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "OMP_NUM_THREADS=1;OPENBLAS_NUM_THREADS=1")
endfunction()
