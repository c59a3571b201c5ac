/* What cuDNN asks of the driver (libcuda.so.1) after it has compiled the kernels of a plan, on a machine that has none: it
 * takes every kernel and runs none. Linked into a program, it is found under the driver's name. Of the functions that
 * answer 1, an error, none is called for a plan that is only made. */
#include <stddef.h>

typedef int Status;
static int something;

#define HANDS_OUT(name) \
  Status name(void** thing) { return *thing = &something, 0; }
#define DOES_NOTHING(name) \
  Status name(void) { return 0; }
#define FAILS(name) \
  Status name(void) { return 1; }

HANDS_OUT(cuLibraryLoadData)
HANDS_OUT(cuLibraryLoadFromFile)
HANDS_OUT(cuLibraryGetKernel)
HANDS_OUT(cuKernelGetFunction)
HANDS_OUT(cuModuleLoadData) /* this and four below: since cuDNN 9.28 */
HANDS_OUT(cuModuleGetFunction)
HANDS_OUT(cuCtxGetCurrent)
HANDS_OUT(cuCtxPopCurrent)
DOES_NOTHING(cuLibraryUnload)
DOES_NOTHING(cuModuleUnload)
DOES_NOTHING(cuTensorMapEncodeTiled)
DOES_NOTHING(cuTensorMapEncodeIm2col)
DOES_NOTHING(cuKernelSetAttribute)
DOES_NOTHING(cuFuncSetAttribute)
DOES_NOTHING(cuCtxPushCurrent)
FAILS(cuStreamGetCtx)
FAILS(cuLaunchKernel)
FAILS(cuLaunchKernelEx)
FAILS(cuLaunchCooperativeKernel)
FAILS(cuLinkCreate)
FAILS(cuLinkAddData)
FAILS(cuLinkComplete)
FAILS(cuLinkDestroy)

Status cuKernelGetAttribute(int* value) { return *value = 0, 0; }
Status cuDriverGetVersion(int* version) { return *version = 13000, 0; }
Status cuDeviceGet(int* device) { return *device = 0, 0; }
Status cuDeviceGetCount(int* count) { return *count = 0, 0; }
Status cuCtxGetLimit(size_t* value) { return *value = (size_t)1 << 20, 0; }
Status cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks) { return *blocks = 1, 0; }
Status cuOccupancyMaxPotentialClusterSize(int* size) { return *size = 8, 0; }
Status cuGetErrorName(Status error, const char** text) { return (void)error, *text = "CUDA_ERROR", 0; }
Status cuGetErrorString(Status error, const char** text) { return (void)error, *text = "an error", 0; }
