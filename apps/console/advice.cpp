#include <kindred/apps/console/advice.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <utility>

namespace kindred {
namespace {

// The best one first. A program gives the first one whose flags it all has.
using Choices = std::span<const char* const>;

constexpr const char* for_memory[] = {"use a smaller --batch-size or --image-size",
                                      "use a smaller --batch-size", "use fewer --workers"};
constexpr const char* for_loading[] = {
    "use fewer --workers",
    "use smaller copies of the largest pictures, or, where several are decoded at once, a smaller "
    "OMP_NUM_THREADS"};
constexpr const char* for_threads[] = {
    "raise the limit (ulimit -u, ulimit -v), or use fewer --workers and a smaller OMP_NUM_THREADS",
    "raise the limit (ulimit -u, ulimit -v), or use a smaller OMP_NUM_THREADS"};
constexpr const char* for_cpu[] = {"use --device cpu"};
constexpr const char* for_reference[] = {"use --device reference"};
constexpr const char* for_gpu[] = {"use --device cuda, or another --precision"};
constexpr const char* for_library[] = {"set LD_LIBRARY_PATH, or use --device cpu", "set LD_LIBRARY_PATH"};
constexpr const char* for_small_batch[] = {"use a larger --batch-size, --micro-batch or --image-size",
                                           "use a larger --batch-size or --image-size"};
constexpr const char* for_small_image[] = {"use a larger --image-size"};
constexpr const char* for_bad_image[] = {"leave out --strict to train all the same"};
constexpr const char* for_bad_images[] = {"raise --max-bad to accept more"};
constexpr const char* for_existing[] = {"give another name, or --overwrite", "give another name"};
constexpr const char* for_labels[] = {"or give a list of their labels: --labels FILE.csv"};

Choices choices_for(Cause cause) {
  switch (cause) {
    case Cause::other:
      return {};
    case Cause::out_of_memory:
      return for_memory;
    case Cause::out_of_memory_loading:
      return for_loading;
    case Cause::out_of_threads:
      return for_threads;
    case Cause::needs_cpu:
      return for_cpu;
    case Cause::needs_reference:
      return for_reference;
    case Cause::needs_gpu:
      return for_gpu;
    case Cause::missing_library:
      return for_library;
    case Cause::small_batch:
      return for_small_batch;
    case Cause::small_image:
      return for_small_image;
    case Cause::bad_image:
      return for_bad_image;
    case Cause::bad_images:
      return for_bad_images;
    case Cause::exists:
      return for_existing;
    case Cause::needs_labels:
      return for_labels;
  }
  return {};
}

std::vector<std::string>& flags_of_program() {
  static std::vector<std::string> flags;
  return flags;
}

bool has_flags_of(std::string_view text) {
  const std::vector<std::string>& flags = flags_of_program();
  if (flags.empty()) return true;
  for (std::size_t at = text.find("--"); at != text.npos; at = text.find("--", at + 2)) {
    const std::string_view flag = text.substr(at, text.find_first_of(" ,", at) - at);
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) return false;
  }
  return true;
}

}  // namespace

void give_advice_for(std::vector<std::string> flags) {
  flags_of_program() = std::move(flags);
}

const char* advice(Cause cause) {
  for (const char* const text : choices_for(cause))
    if (has_flags_of(text)) return text;
  return "";
}

const char* advice_to_go_on() {
  constexpr const char* with_resume = "the same command with --resume goes on from the last checkpoint";
  return has_flags_of("--resume") ? with_resume : "the same command begins anew";
}

std::string message_with_advice(const Error& error) {
  const std::string help = advice(error.cause());
  return help.empty() ? error.what() : error.what() + ("; " + help);
}

}  // namespace kindred
