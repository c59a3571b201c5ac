// Notes which functions a program enters (gcc -finstrument-functions), for scripts/mutation/entered.py: writes each as one
// number into the table in the file $KINDRED_ENTERED, which all programs that a test starts share.
#define _GNU_SOURCE
#include <fcntl.h>
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES (1u << 17)  // of the table; a power of two
#define SEEN (1u << 15)     // addresses that this process remembers

static uint64_t* table;
static uint64_t program;  // in the upper 16 bits
static uintptr_t base;
static uintptr_t seen[SEEN];

static int note_base(struct dl_phdr_info* info, size_t size, void* data) {
  (void)size;
  *(uintptr_t*)data = info->dlpi_addr;
  return 1;  // the first one is the program
}

__attribute__((constructor)) static void open_table(void) {
  const char* path = getenv("KINDRED_ENTERED");
  char name[4096];
  const ssize_t length = readlink("/proc/self/exe", name, sizeof(name) - 1);
  if (path == NULL || length <= 0) return;
  name[length] = '\0';
  uint64_t hash = 14695981039346656037u;  // FNV-1a of the program's name
  for (const char* c = strrchr(name, '/') + 1; *c; ++c) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
  program = (hash ^ hash >> 16 ^ hash >> 32) << 48;
  dl_iterate_phdr(note_base, &base);
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0 || ftruncate(file, ENTRIES * sizeof(uint64_t)) != 0) return;
  void* map = mmap(NULL, ENTRIES * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (map != MAP_FAILED) table = map;
}

void __cyg_profile_func_enter(void* function, void* caller) {
  (void)caller;
  const uintptr_t address = (uintptr_t)function;
  uintptr_t* const last = &seen[(address >> 4 ^ address >> 19) % SEEN];
  if (table == NULL || *last == address) return;
  *last = address;
  const uint64_t entry = program | (address - base);
  for (uint64_t at = entry * 0x9e3779b97f4a7c15u >> 47, tries = 0; tries < ENTRIES; ++tries, ++at) {
    uint64_t* const place = &table[at % ENTRIES];
    uint64_t there = __atomic_load_n(place, __ATOMIC_RELAXED);
    if (there == 0 && __atomic_compare_exchange_n(place, &there, entry, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) return;
    if (there == entry) return;
  }
}

void __cyg_profile_func_exit(void* function, void* caller) {
  (void)function;
  (void)caller;
}
