# kindred_folder(<room> <name> <Table> [more sources...])
#
# Adds one folder of a layer or a loss to the library: <room>/<name>/: <name>.cpp, reference.cpp, cpu.cpp, the sources named
# after them, and cuda.cu where CUDA is built. Without CUDA a generated file puts a null pointer in place of the
# folder's CUDA table; engine/kernels.h turns that into one clear error. So no source file needs an #ifdef.
function(kindred_folder room name table)
  set(path ${PROJECT_SOURCE_DIR}/${room}/${name})
  target_sources(kindred PRIVATE ${path}/${name}.cpp ${path}/reference.cpp ${path}/cpu.cpp)
  foreach(source IN LISTS ARGN)
    target_sources(kindred PRIVATE ${path}/${source})
  endforeach()
  kindred_cuda_table(${room}/${name}/kernels.h ${path}/cuda.cu ${name} ${table})
endfunction()

# The CUDA half of the above, for a table that stands elsewhere.
#
# With KINDRED_EMULATE the same source is compiled for the host (engine/cuda/emulation.h), or, where it calls
# libraries that need a GPU, the <file>_emulated.cpp beside it takes its place.
function(kindred_cuda_table header source name table)
  string(REGEX REPLACE "\\.cu$" "_emulated.cpp" substitute ${source})
  if(KINDRED_CUDA)
    target_sources(kindred PRIVATE ${source})
  elseif(KINDRED_EMULATE AND EXISTS ${substitute})
    target_sources(kindred PRIVATE ${substitute})
  elseif(KINDRED_EMULATE AND EXISTS ${source})
    kindred_emulated_source(${source})
  else()
    set(stub ${PROJECT_BINARY_DIR}/no_cuda/${name}.cpp)
    file(CONFIGURE OUTPUT ${stub} CONTENT
"#include <kindred/${header}>
namespace kindred { const ${table}* const ${name}_cuda = nullptr; }
")
    target_sources(kindred PRIVATE ${stub})
  endif()
endfunction()

# A .cu file as C++ of the host.
function(kindred_emulated_source source)
  file(RELATIVE_PATH path ${PROJECT_SOURCE_DIR} ${source})
  set(copy ${PROJECT_BINARY_DIR}/emulated/${path}.cpp)
  file(CONFIGURE OUTPUT ${copy} CONTENT "#define KINDRED_EMULATE\n#include <kindred/${path}>\n")
  target_sources(kindred PRIVATE ${copy})
  set_source_files_properties(${copy} TARGET_DIRECTORY kindred PROPERTIES COMPILE_OPTIONS -Wno-unknown-pragmas)
endfunction()
