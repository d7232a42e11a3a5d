# Everything phalanx links, as imported targets. LibTorch comes from the torch wheel (or any folder
# on CMAKE_PREFIX_PATH that holds include/torch and lib/libtorch.so); its own TorchConfig is not
# used because the CUDA wheel's asks for nvcc and a whole toolkit even to build for CPU.

find_package(Threads REQUIRED)
find_package(MPI REQUIRED COMPONENTS CXX)
# The C++ bindings that MPI dropped in version 3 bring warnings and a second library. For all targets,
# since a precompiled header serves only files with the same definitions.
add_compile_definitions(OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)
find_package(yaml-cpp REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(fmt REQUIRED)
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_library(XXHASH_LIBRARY xxhash REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

add_library(phalanx_xxhash INTERFACE)
target_include_directories(phalanx_xxhash SYSTEM INTERFACE ${XXHASH_INCLUDE_DIR})
target_link_libraries(phalanx_xxhash INTERFACE ${XXHASH_LIBRARY})

# Inputs of packing: JSON lines, gzip and zstd.
find_path(SIMDJSON_INCLUDE_DIR simdjson.h REQUIRED)
find_library(SIMDJSON_LIBRARY simdjson REQUIRED)
add_library(phalanx_json_lines INTERFACE)
target_include_directories(phalanx_json_lines SYSTEM INTERFACE ${SIMDJSON_INCLUDE_DIR})
target_link_libraries(phalanx_json_lines INTERFACE ${SIMDJSON_LIBRARY})
find_package(ZLIB REQUIRED)
find_path(ZSTD_INCLUDE_DIR zstd.h REQUIRED)
find_library(ZSTD_LIBRARY zstd REQUIRED)
add_library(phalanx_unpacking INTERFACE)
target_include_directories(phalanx_unpacking SYSTEM INTERFACE ${ZSTD_INCLUDE_DIR})
target_link_libraries(phalanx_unpacking INTERFACE ${ZSTD_LIBRARY} ZLIB::ZLIB)

# --- LibTorch ---------------------------------------------------------------------------------
set(PHALANX_DEPS "$ENV{PHALANX_DEPS}" CACHE PATH "Environment made by launch/setup.sh")
if(NOT PHALANX_DEPS)
  set(PHALANX_DEPS ${CMAKE_CURRENT_SOURCE_DIR}/.deps)
endif()
file(GLOB wheel_roots ${PHALANX_DEPS}/lib/python3*/site-packages/torch)
find_path(TORCH_ROOT NAMES include/ATen/ATen.h HINTS ${wheel_roots} PATH_SUFFIXES torch
          DOC "LibTorch: the folder that holds include/ and lib/")
if(NOT TORCH_ROOT)
  message(FATAL_ERROR "LibTorch not found: run ./launch/setup.sh, which installs the torch wheel "
    "into ${PHALANX_DEPS}, or pass -DCMAKE_PREFIX_PATH=<folder with include/ATen and lib/>")
endif()
set(torch_version unknown)
if(EXISTS ${TORCH_ROOT}/include/torch/headeronly/version.h)
  file(STRINGS ${TORCH_ROOT}/include/torch/headeronly/version.h version_line
       REGEX "define TORCH_VERSION_M")
  string(REGEX REPLACE "[^;]*MAJOR ([0-9]+);[^;]*MINOR ([0-9]+)" "\\1.\\2" torch_version "${version_line}")
endif()
if(NOT torch_version STREQUAL "2.11")
  message(FATAL_ERROR "LibTorch at ${TORCH_ROOT}: expected version 2.11, found ${torch_version}")
endif()

# One OpenMP runtime in the process: the one LibTorch brings, if it brings one.
find_library(OpenMP_gomp_LIBRARY NAMES libgomp.so.1 PATHS ${TORCH_ROOT}/lib NO_DEFAULT_PATH)
if(NOT OpenMP_gomp_LIBRARY)
  unset(OpenMP_gomp_LIBRARY CACHE)
endif()
find_package(OpenMP REQUIRED COMPONENTS CXX)

function(import_torch_library name)
  add_library(torch::${name} SHARED IMPORTED GLOBAL)
  set_target_properties(torch::${name} PROPERTIES
    IMPORTED_LOCATION ${TORCH_ROOT}/lib/lib${name}.so IMPORTED_NO_SONAME TRUE)
endfunction()
import_torch_library(c10)
import_torch_library(torch_cpu)
add_library(phalanx_torch INTERFACE)
# The wheel ships headers of a newer fmt, which do not fit the distribution's library; a folder that
# holds nothing but a link to the right ones comes first.
find_path(FMT_INCLUDE_DIR fmt/format.h HINTS /usr/include NO_CMAKE_PATH REQUIRED)
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/first_include)
file(CREATE_LINK ${FMT_INCLUDE_DIR}/fmt ${CMAKE_BINARY_DIR}/first_include/fmt SYMBOLIC)
target_include_directories(phalanx_torch SYSTEM INTERFACE
  ${CMAKE_BINARY_DIR}/first_include ${TORCH_ROOT}/include ${TORCH_ROOT}/include/torch/csrc/api/include)
target_link_libraries(phalanx_torch INTERFACE torch::torch_cpu torch::c10 OpenMP::OpenMP_CXX)
# The CUDA wheel's libtorch_cpu needs cudart and cupti, which lie beside torch in the wheel.
file(GLOB wheel_cuda_dirs ${TORCH_ROOT}/../nvidia/*/lib)
foreach(dir ${wheel_cuda_dirs})
  target_link_options(phalanx_torch INTERFACE -Wl,-rpath-link,${dir})
endforeach()

# --- CUDA and NCCL: file pairs, never #ifdef ----------------------------------------------------
set(PHALANX_HAS_CUDA OFF)
if(PHALANX_CUDA AND EXISTS ${TORCH_ROOT}/lib/libtorch_cuda.so)
  include(CheckLanguage)
  check_language(CUDA)
  find_package(CUDAToolkit 13 QUIET)
  find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${TORCH_ROOT}/../nvidia/nccl/include
            ${CUDAToolkit_INCLUDE_DIRS})
  find_library(NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${TORCH_ROOT}/../nvidia/nccl/lib
               ${CUDAToolkit_LIBRARY_DIR})
  # The one that LibTorch loads, so that a process has one.
  file(GLOB cublas_dirs ${TORCH_ROOT}/../nvidia/cu13/lib ${TORCH_ROOT}/../nvidia/cublas/lib)
  find_library(CUBLASLT_LIBRARY NAMES libcublasLt.so.13 cublasLt HINTS ${cublas_dirs}
               ${CUDAToolkit_LIBRARY_DIR})
  if(CMAKE_CUDA_COMPILER AND CUDAToolkit_FOUND AND NCCL_INCLUDE_DIR AND NCCL_LIBRARY
     AND CUBLASLT_LIBRARY)
    set(PHALANX_HAS_CUDA ON)
  endif()
endif()
if(PHALANX_HAS_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # 80 with its PTX, which the driver of a later GPU translates.
    set(CMAKE_CUDA_ARCHITECTURES 80 90a-real)
  endif()
  enable_language(CUDA)
  # CMake 3.25 does not know the dialect flag of nvcc 13.
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
  import_torch_library(c10_cuda)
  import_torch_library(torch_cuda)
  target_include_directories(phalanx_torch SYSTEM INTERFACE ${NCCL_INCLUDE_DIR})
  # Nothing refers to libtorch_cuda by symbol; without --no-as-needed its kernels would be dropped.
  target_link_options(phalanx_torch INTERFACE -Wl,--no-as-needed)
  target_link_libraries(phalanx_torch INTERFACE torch::torch_cuda torch::c10_cuda CUDA::cudart
                        ${NCCL_LIBRARY} ${CUBLASLT_LIBRARY})
endif()
message(STATUS "LibTorch ${torch_version} at ${TORCH_ROOT}; CUDA and NCCL parts: ${PHALANX_HAS_CUDA}")

# --- Arrow, for Parquet files: a choice of files as well ------------------------------------------
# The pyarrow wheel ships Arrow C++ with its headers, but only under versioned names
# (libarrow.so.2600), which find_library does not look for.
file(GLOB wheel_arrow ${PHALANX_DEPS}/lib/python3*/site-packages/pyarrow)
find_path(ARROW_ROOT NAMES include/parquet/arrow/reader.h HINTS ${wheel_arrow}
          DOC "Arrow C++: the folder that holds include/, libarrow.so.* and libparquet.so.*")
set(PHALANX_HAS_ARROW OFF)
if(ARROW_ROOT)
  file(GLOB arrow_files ${ARROW_ROOT}/libarrow.so* ${ARROW_ROOT}/lib/libarrow.so*)
  file(GLOB parquet_files ${ARROW_ROOT}/libparquet.so* ${ARROW_ROOT}/lib/libparquet.so*)
  if(arrow_files AND parquet_files)
    set(PHALANX_HAS_ARROW ON)
  endif()
endif()
if(PHALANX_HAS_ARROW)
  list(GET arrow_files 0 ARROW_LIBRARY)
  list(GET parquet_files 0 PARQUET_LIBRARY)
  cmake_path(GET ARROW_LIBRARY PARENT_PATH ARROW_LIBRARY_DIR)
  add_library(phalanx_arrow INTERFACE)
  target_include_directories(phalanx_arrow SYSTEM INTERFACE ${ARROW_ROOT}/include)
  target_link_libraries(phalanx_arrow INTERFACE ${PARQUET_LIBRARY} ${ARROW_LIBRARY})
  message(STATUS "Parquet: Arrow C++ at ${ARROW_ROOT}")
else()
  message(STATUS "Parquet: OFF, no Arrow C++ found (./launch/setup.sh installs pyarrow, which has it)")
endif()

# --- libcurl, for data sets in stores: a choice of files as well ----------------------------------
find_package(CURL 7.85 QUIET)
set(PHALANX_HAS_CURL ${CURL_FOUND})
if(PHALANX_HAS_CURL)
  message(STATUS "Stores: libcurl ${CURL_VERSION_STRING}")
else()
  message(STATUS "Stores: OFF, no libcurl from 7.85 on found (./launch/setup.sh installs it)")
endif()

# --- Precompiled headers --------------------------------------------------------------------------
# precompiled(NAME LIBS ... HEADERS ...): an object library that carries a precompiled header for all
# targets with the same flags, which take it with REUSE_FROM.
function(precompiled name)
  cmake_parse_arguments(ARG "" "" "LIBS;HEADERS" ${ARGN})
  # Written once: a newer file would rebuild the header and all that use it.
  if(NOT EXISTS ${CMAKE_BINARY_DIR}/${name}.cc)
    file(WRITE ${CMAKE_BINARY_DIR}/${name}.cc "")
  endif()
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cc)
  target_link_libraries(${name} PRIVATE phalanx_flags ${ARG_LIBS})
  foreach(header ${ARG_HEADERS})
    target_precompile_headers(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${header}>")
  endforeach()
endfunction()

# Only for libraries most of whose files hold tensors: loading a precompiled header costs more than
# a file without LibTorch takes to compile, and one with all of ATen (440 MB) costs 2.5 s a file.
precompiled(phalanx_pch LIBS phalanx_torch fmt::fmt
            HEADERS cstdint functional memory string vector fmt/format.h ATen/core/Tensor.h)
function(phalanx_precompile target)
  target_precompile_headers(${target} REUSE_FROM phalanx_pch)
endfunction()
