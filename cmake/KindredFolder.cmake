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
function(kindred_cuda_table header source name table)
  if(KINDRED_CUDA)
    target_sources(kindred PRIVATE ${source})
  else()
    set(stub ${PROJECT_BINARY_DIR}/no_cuda/${name}.cpp)
    file(CONFIGURE OUTPUT ${stub} CONTENT
"#include <kindred/${header}>
namespace kindred { const ${table}* const ${name}_cuda = nullptr; }
")
    target_sources(kindred PRIVATE ${stub})
  endif()
endfunction()
