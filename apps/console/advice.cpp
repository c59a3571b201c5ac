#include <kindred/apps/console/advice.h>

namespace kindred {

const char* advice(Cause cause) {
  switch (cause) {
    case Cause::other:
      return "";
    case Cause::out_of_memory:
      return "use a smaller --batch-size or --image-size";
    case Cause::out_of_threads:
      return "raise the limit (ulimit -u, ulimit -v), or use fewer --workers and a smaller OMP_NUM_THREADS";
    case Cause::needs_cpu:
      return "use --device cpu";
    case Cause::needs_reference:
      return "use --device reference";
    case Cause::needs_gpu:
      return "use --device cuda, or another --precision";
    case Cause::missing_library:
      return "set LD_LIBRARY_PATH, or use --device cpu";
    case Cause::small_batch:
      return "use a larger --batch-size, --micro-batch or --image-size";
    case Cause::small_image:
      return "use a larger --image-size";
    case Cause::bad_image:
      return "leave out --strict to train all the same";
    case Cause::bad_images:
      return "raise --max-bad to accept more";
    case Cause::exists:
      return "give another name, or --overwrite";
  }
  return "";
}

std::string message_with_advice(const Error& error) {
  const std::string help = advice(error.cause());
  return help.empty() ? error.what() : error.what() + ("; " + help);
}

}  // namespace kindred
