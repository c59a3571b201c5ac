/* What Kindred asks of cuDNN, cuBLASLt and NCCL when it has opened them, and no more. As the real cuDNN does, it ends the
 * program where the rest of cuDNN is not beside it. KINDRED_STAND_IN_CUDNN and KINDRED_STAND_IN_NCCL are the versions that it
 * gives. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void need_the_rest(void) {
  Dl_info here;
  char path[4096];
  dladdr((void*)need_the_rest, &here);
  snprintf(path, sizeof path, "%s", here.dli_fname);
  char* slash = strrchr(path, '/');
  snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "libcudnn_graph.so.9");
  if (access(path, F_OK) != 0) abort();
}

size_t cudnnGetVersion(void) {
  need_the_rest();
  const char* version = getenv("KINDRED_STAND_IN_CUDNN");
  return version != NULL ? strtoul(version, NULL, 10) : 91900;
}

size_t cudnnGetCudartVersion(void) {
  need_the_rest();
  return 13000;
}

int ncclGetVersion(int* given) {
  const char* version = getenv("KINDRED_STAND_IN_NCCL");
  *given = version != NULL ? atoi(version) : 22809;
  return 0;
}

size_t cublasLtGetVersion(void) { return 130102; }
size_t cublasLtGetCudartVersion(void) { return 13000; }
