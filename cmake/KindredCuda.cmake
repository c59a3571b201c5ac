# Decides whether CUDA is built, and for which GPUs. Afterwards KINDRED_CUDA is ON or OFF.
#
# The runtime is linked statically, and cuDNN and cuBLASLt are opened when they are first needed
# (third_party/dynamic_library.h): one program runs with and without a GPU.
if(KINDRED_EMULATE)
  set(KINDRED_CUDA OFF)
endif()
if(KINDRED_CUDA STREQUAL "AUTO")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(KINDRED_CUDA ON)
  else()
    set(KINDRED_CUDA OFF)
    message(STATUS "No CUDA compiler was found: building for the CPU")
  endif()
endif()
if(KINDRED_CUDA)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    execute_process(COMMAND nvidia-smi -L OUTPUT_VARIABLE gpus ERROR_QUIET RESULT_VARIABLE status)
    if(status EQUAL 0 AND gpus MATCHES "GPU 0")
      set(CMAKE_CUDA_ARCHITECTURES native)
    else()
      set(CMAKE_CUDA_ARCHITECTURES 80-real 90) # A100, H100 and H200; newer GPUs translate the latter's PTX
    endif()
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_STANDARD_REQUIRED ON)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  enable_language(CUDA)
  add_compile_options($<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr>
                      $<$<COMPILE_LANGUAGE:CUDA>:--extended-lambda>)
  # fmt 9 does not see that nvcc's front end has constexpr.
  add_compile_definitions($<$<COMPILE_LANGUAGE:CUDA>:FMT_USE_CONSTEXPR=1>)
endif()
