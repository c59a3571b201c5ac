// Stands in for NVIDIA's libcupti.so in a rehearsal of scripts/gpu_flight.sh. Each flush returns the same
// records: two kernels of 2 us with 1 us between them, and a copy of 3 us that overlaps the second for 1 us.
// That is 7 us, of which 6 are busy.
#include <cupti.h>
#include <string.h>

static CUpti_BuffersCallbackRequestFunc give_buffer;
static CUpti_BuffersCallbackCompleteFunc take_buffer;
static int enabled;

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc give, CUpti_BuffersCallbackCompleteFunc take) {
  give_buffer = give, take_buffer = take;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
  ++enabled;
  return kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL || kind == CUPTI_ACTIVITY_KIND_MEMCPY || kind == CUPTI_ACTIVITY_KIND_MEMSET
             ? CUPTI_SUCCESS
             : CUPTI_ERROR_INVALID_KIND;
}

CUptiResult cuptiGetResultString(CUptiResult result, const char** text) {
  *text = result == CUPTI_SUCCESS ? "CUPTI_SUCCESS" : "an error of the stand-in";
  return CUPTI_SUCCESS;
}

// Each record has a slot of the size of the largest record.
static const size_t slot = (sizeof(CUpti_ActivityKernel9) + 7) / 8 * 8;

static void kernel(uint8_t* at, uint64_t start, const char* name) {
  CUpti_ActivityKernel9* k = (CUpti_ActivityKernel9*)at;
  k->kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, k->start = start, k->end = start + 2000, k->name = name;
  k->gridX = 132, k->gridY = k->gridZ = 1, k->blockX = 256, k->blockY = k->blockZ = 1, k->registersPerThread = 64;
}

CUptiResult cuptiActivityFlushAll(uint32_t flag) {
  (void)flag;
  uint8_t* buffer = 0;
  size_t bytes = 0, most = 0;
  if (!give_buffer || enabled != 3) return CUPTI_ERROR_NOT_INITIALIZED;
  give_buffer(&buffer, &bytes, &most);
  if (!buffer || bytes < 3 * slot) return CUPTI_ERROR_OUT_OF_MEMORY;
  memset(buffer, 0, 3 * slot);
  kernel(buffer, 1000, "_ZN7kindred4cuda11first_planeIfEEvPKT_");
  kernel(buffer + slot, 4000, "second_plane");
  CUpti_ActivityMemcpy5* copy = (CUpti_ActivityMemcpy5*)(buffer + 2 * slot);
  copy->kind = CUPTI_ACTIVITY_KIND_MEMCPY, copy->copyKind = CUPTI_ACTIVITY_MEMCPY_KIND_HTOD;
  copy->start = 5000, copy->end = 8000;
  take_buffer(0, 0, buffer, bytes, 3 * slot);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(uint8_t* buffer, size_t valid, CUpti_Activity** record) {
  uint8_t* next = *record ? (uint8_t*)*record + slot : buffer;
  if (next >= buffer + valid) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = (CUpti_Activity*)next;
  return CUPTI_SUCCESS;
}
