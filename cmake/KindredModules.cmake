# Modules beside the programs: each is linked with libraries that only some programs need, and is opened when one does
# (third_party/search/program_module.h), so that training starts without them. They lie where the module of MPI does.
#
#   libkindred_faiss.so  FAISS (libfaiss-dev); its products of matrices are oneDNN's
#   libkindred_http.so   cpp-httplib (libcpp-httplib-dev)
function(kindred_module name sources)
  add_library(${name} MODULE ${sources})
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/third_party
                        INSTALL_RPATH "$ORIGIN/..")
  target_include_directories(${name} PRIVATE ${PROJECT_BINARY_DIR}/include)
  # Its own copies of what it defines come first, whatever other libraries bring.
  target_link_options(${name} PRIVATE -Wl,-Bsymbolic -Wl,--as-needed)
  target_link_libraries(${name} PRIVATE fmt::fmt kindred_options ${ARGN})
  add_dependencies(kindred_apps ${name})  # so that it is there whatever is built
  install(TARGETS ${name} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/kindred COMPONENT programs)
endfunction()

find_package(faiss CONFIG QUIET)
if(faiss_FOUND AND TARGET faiss)
  kindred_module(kindred_faiss "${PROJECT_SOURCE_DIR}/third_party/faiss/faiss_module.cpp;${PROJECT_SOURCE_DIR}/third_party/faiss/products.cpp"
                 faiss OneDNN::dnnl OpenMP::OpenMP_CXX)
  set(without_faiss "")
else()
  set(without_faiss "this build was made without it: install libfaiss-dev, and build again in a new folder")
  message(STATUS "Without FAISS (libfaiss-dev): similar, map_embedding and the images of reports will be refused")
endif()

find_path(KINDRED_HTTPLIB_INCLUDE httplib.h)
find_library(KINDRED_HTTPLIB_LIBRARY cpp-httplib)
if(KINDRED_HTTPLIB_INCLUDE)
  kindred_module(kindred_http ${PROJECT_SOURCE_DIR}/third_party/httplib/http_module.cpp Threads::Threads)
  target_include_directories(kindred_http SYSTEM PRIVATE ${KINDRED_HTTPLIB_INCLUDE})
  # As a library it was compiled with all of these, which change its classes; as a header alone it needs none.
  if(KINDRED_HTTPLIB_LIBRARY)
    target_compile_definitions(kindred_http PRIVATE CPPHTTPLIB_OPENSSL_SUPPORT CPPHTTPLIB_ZLIB_SUPPORT CPPHTTPLIB_BROTLI_SUPPORT)
    find_library(KINDRED_SSL_LIBRARY ssl)
    find_library(KINDRED_CRYPTO_LIBRARY crypto)
    target_link_libraries(kindred_http PRIVATE ${KINDRED_HTTPLIB_LIBRARY} ${KINDRED_SSL_LIBRARY} ${KINDRED_CRYPTO_LIBRARY})
  endif()
  set(without_http "")
else()
  set(without_http "this build was made without it: install libcpp-httplib-dev, and build again in a new folder")
  message(STATUS "Without httplib.h (libcpp-httplib-dev): serve will be refused")
endif()
target_sources(kindred_apps PRIVATE ${PROJECT_SOURCE_DIR}/third_party/faiss/faiss.cpp
                                    ${PROJECT_SOURCE_DIR}/third_party/httplib/http_exchange.cpp)
set_source_files_properties(${PROJECT_SOURCE_DIR}/third_party/faiss/faiss.cpp PROPERTIES COMPILE_DEFINITIONS
                            "KINDRED_WITHOUT_FAISS=\"${without_faiss}\"")
set_source_files_properties(${PROJECT_SOURCE_DIR}/third_party/httplib/http_exchange.cpp PROPERTIES COMPILE_DEFINITIONS
                            "KINDRED_WITHOUT_HTTP=\"${without_http}\"")

# FFTW is small and starts nothing, so the programs are linked with it.
find_path(KINDRED_FFTW_INCLUDE fftw3.h)
find_library(KINDRED_FFTW_LIBRARY fftw3f)
if(KINDRED_FFTW_INCLUDE AND KINDRED_FFTW_LIBRARY)
  target_sources(kindred_apps PRIVATE ${PROJECT_SOURCE_DIR}/third_party/fftw/fftw.cpp)
  target_include_directories(kindred_apps SYSTEM PRIVATE ${KINDRED_FFTW_INCLUDE})
  target_link_libraries(kindred_apps PUBLIC ${KINDRED_FFTW_LIBRARY})
else()
  message(STATUS "Without fftw3.h (libfftw3-dev): t-SNE of many images will be refused")
  target_sources(kindred_apps PRIVATE ${PROJECT_SOURCE_DIR}/third_party/fftw/fftw_missing.cpp)
  set(KINDRED_FFTW_LIBRARY "")
endif()
