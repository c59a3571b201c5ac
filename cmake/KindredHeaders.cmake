# Which headers `cmake --install` copies: those that a user of the library includes, and what they include themselves.
#
#   layers, losses   of the folder `foo` the header `foo.h`, and those of kindred_more_headers
#   other rooms      every header but those of kindred_private_headers, which names files and folders
#
# scripts/check_install.sh compiles each of them alone, with nothing else of Kindred installed.
set(kindred_more_headers
  layers/batch_norm/whole_batch.h)  # models/micro_batches.h needs it

set(kindred_private_headers
  # How operations reach their kernels, and what kernels are made of. A user calls the function.
  engine/cpu/vec8.h
  engine/cpu/vector_math.h
  engine/cpu/waiting.h
  engine/cuda
  engine/device_kernels.h
  engine/kernels
  engine/optimizer/kernels.h
  # Internal file formats. Others read and write the same files.
  data/files/json_fields.h
  data/images/decode_formats.h
  data/npz/npz_format.h
  data/sets/dataset_sources.h
  data/sets/folders
  data/sets/mat_file.h
  data/sets/name_table.h
  data/sets/pack/pack_format.h
  data/sets/tar.h
  engine/files/json_text.h
  engine/files/safetensors_checksum.h
  engine/files/safetensors_header.h
  models/file_order.h
  # The arithmetic of single operations on pixels. data/views/augment.h and data/corruption/corruption.h run them.
  data/corruption/corruption_parts.h
  data/images/pixel_math.h
  data/images/resample_math.h
  data/views/color.h
  data/views/policy.h
  data/views/sharpness.h
  data/views/tone.h
  data/views/view_stream.h
  # How other libraries are found and called.
  third_party)

set(kindred_header_rooms data engine layers losses models third_party)

# Sets `result` in the caller's scope to the paths of these headers in the tree.
function(kindred_public_headers result)
  foreach(name IN LISTS kindred_more_headers kindred_private_headers)
    if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${name})
      message(FATAL_ERROR "cmake/KindredHeaders.cmake names ${name}, which does not exist")
    endif()
  endforeach()
  list(TRANSFORM kindred_header_rooms REPLACE "(.+)" "${PROJECT_SOURCE_DIR}/\\1/*.h" OUTPUT_VARIABLE patterns)
  file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${patterns})
  list(JOIN kindred_private_headers "|" private)
  list(FILTER headers EXCLUDE REGEX "^(${private})(/|$)")
  foreach(header IN LISTS headers)
    get_filename_component(folder ${header} DIRECTORY)
    get_filename_component(name ${header} NAME_WE)
    if(header MATCHES "^(layers|losses)/" AND NOT folder MATCHES "/${name}$" AND NOT header IN_LIST kindred_more_headers)
      list(REMOVE_ITEM headers ${header})
    endif()
  endforeach()
  set(${result} ${headers} PARENT_SCOPE)
endfunction()
