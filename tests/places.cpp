#include "places.h"

#include <cstdlib>

namespace kindred {
namespace {

std::string place(const char* variable, const char* built) {
  const char* elsewhere = std::getenv(variable);
  return elsewhere != nullptr ? elsewhere : built;
}

}  // namespace

std::string golden_dir() {
  return place("KINDRED_GOLDEN_DIR", KINDRED_GOLDEN_DIR);
}
std::string apps_dir() {
  return place("KINDRED_APPS_DIR", KINDRED_APPS_DIR);
}

}  // namespace kindred
