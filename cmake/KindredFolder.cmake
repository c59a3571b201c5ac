# kindred_folder(<room> <name> <Table> [more sources...])
#
# Adds one folder of a layer or a loss to the library: <room>/<name>/: <name>.cpp, reference.cpp, cpu.cpp, plan.cpp, the
# sources named after them, and cuda.cu where CUDA is built. Without CUDA a generated file puts a null pointer in place of
# the folder's CUDA table; engine/kernels/select.h turns that into one clear error. So no source file needs an #ifdef.
function(kindred_folder room name table)
  set(path ${PROJECT_SOURCE_DIR}/${room}/${name})
  set(sources ${name}.cpp reference.cpp cpu.cpp plan.cpp ${ARGN})
  list(TRANSFORM sources PREPEND ${path}/)
  target_sources(kindred PRIVATE ${sources})
  kindred_cuda_table(${room}/${name}/kernels.h ${room}/${name}/cuda.cu ${name} ${table})
endfunction()

# Sources of the library that are compiled at once as `group`: small ones, most of whose time goes into headers that they can
# share. scripts/check_house.sh refuses names that two of them could take from each other. A program that needs one of
# them gets all, so a group must not reach further up than each of its sources.
function(kindred_compiled_at_once group)
  foreach(source IN LISTS ARGN)
    # A source that is compiled once for each kind of vectors (engine/cpu/vectors.h) includes itself, and stays alone.
    file(STRINGS ${source} kinds REGEX "^#include <hwy/foreach_target.h>" LIMIT_COUNT 1)
    if(NOT kinds)
      set_source_files_properties(${source} TARGET_DIRECTORY kindred PROPERTIES UNITY_GROUP ${group})
    endif()
  endforeach()
endfunction()

# Groups of bookkeeping: their code waits for files and for kernels, so optimising it further would only make the build
# longer. CMake makes one source of each group, and has no other way to give it options.
function(kindred_bookkeeping_groups)
  foreach(group ${ARGN})
    set_source_files_properties(${PROJECT_BINARY_DIR}/CMakeFiles/kindred.dir/Unity/unity_${group}_cxx.cxx
                                TARGET_DIRECTORY kindred PROPERTIES COMPILE_OPTIONS $<$<CONFIG:Release>:-O1>)
  endforeach()
endfunction()

# The sources of device `cuda` are two object libraries beside `kindred`, so that programs and tests that differ in that
# device alone compile everything else once:
#   kindred_gpu       for a GPU, or without CUDA the null pointers
#   kindred_emulated  the same kernels compiled for the host (engine/cuda/emulation)

# The CUDA half of kindred_folder, for a table that stands elsewhere. The emulation takes <file>_emulated.cpp where there
# is one: the file calls libraries that need a GPU.
function(kindred_cuda_table header source name table)
  if(KINDRED_CUDA)
    target_sources(kindred_gpu PRIVATE ${PROJECT_SOURCE_DIR}/${source})
  else()
    set(stub ${PROJECT_BINARY_DIR}/no_cuda/${name}.cpp)
    file(CONFIGURE OUTPUT ${stub} CONTENT
"#include <kindred/${header}>
namespace kindred { const ${table}* const ${name}_cuda = nullptr; }
")
    target_sources(kindred_gpu PRIVATE ${stub})
  endif()
  string(REGEX REPLACE "\\.cu$" "_emulated.cpp" substitute ${source})
  if(EXISTS ${PROJECT_SOURCE_DIR}/${substitute})
    target_sources(kindred_emulated PRIVATE ${PROJECT_SOURCE_DIR}/${substitute})
    kindred_emulated_options(kindred_emulated ${PROJECT_SOURCE_DIR}/${substitute})
  else()
    kindred_emulated_source(${source})
  endif()
endfunction()

# A .cu file without a table, for the GPU and its emulation.
function(kindred_cuda_source source)
  if(KINDRED_CUDA)
    target_sources(kindred_gpu PRIVATE ${PROJECT_SOURCE_DIR}/${source})
  endif()
  kindred_emulated_source(${source})
endfunction()

# A .cu file as C++ of the host, in kindred_emulated or another target. The compiler tells the emulation of each access to
# memory (engine/cuda/emulation/memory.h) and of addresses that are not aligned; no sanitizer's library is linked. Without
# vectors of the host's own making every access is seen as it is written. -g1, and no calls that are jumps: the lines of
# errors.
function(kindred_emulated_source source)
  set(target kindred_emulated)
  if(ARGC GREATER 1)
    set(target ${ARGV1})
  endif()
  set(copy ${PROJECT_BINARY_DIR}/emulated/${source}.cpp)
  file(CONFIGURE OUTPUT ${copy} CONTENT "#define KINDRED_EMULATE\n#include <kindred/${source}>\n")
  target_sources(${target} PRIVATE ${copy})
  kindred_emulated_options(${target} ${copy})
endfunction()

# Calls at the beginning and end of functions are of no use here.
include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(--param=tsan-instrument-func-entry-exit=0 KINDRED_HAS_TSAN_ENTRIES)
set(kindred_no_entries $<$<BOOL:${KINDRED_HAS_TSAN_ENTRIES}>:--param=tsan-instrument-func-entry-exit=0>)
function(kindred_emulated_options target file)
  set_source_files_properties(${file} TARGET_DIRECTORY ${target} PROPERTIES COMPILE_OPTIONS
    "-Wno-unknown-pragmas;-fsanitize=thread,alignment;-fno-tree-vectorize;-fno-tree-loop-distribute-patterns;-fno-optimize-sibling-calls;-g1;-gdwarf-4;${kindred_no_entries}")
endfunction()

# Links <program> once more, from the same objects, with the emulation in place of the GPU: <folder>/emulated/<program>.
# Objects that it is linked with but does not compile follow its name. Does nothing in a build that has no such programs
# (apps/CMakeLists.txt).
function(kindred_emulated_program program)
  if(NOT TARGET kindred_with_emulation)
    return()
  endif()
  add_executable(${program}_emulated $<TARGET_OBJECTS:${program}> ${ARGN})
  set_target_properties(${program}_emulated PROPERTIES LINKER_LANGUAGE CXX OUTPUT_NAME ${program}
                                                       RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/emulated)
  target_link_libraries(${program}_emulated PRIVATE kindred_with_emulation kindred_options)
endfunction()
