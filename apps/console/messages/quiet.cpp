#include <kindred/apps/console/messages/quiet.h>
#include <kindred/apps/console/progress.h>
#include <kindred/engine/error.h>

#include <sys/types.h>  // defines: ssize_t

#include <cstddef>
#include <cstdio>
#include <string>

namespace kindred {
namespace {

constexpr const char* kept_beginning = "warning: ";

// What stands between standard output and the program. It is never destroyed: the program's end still writes.
struct LineFilter {
  std::FILE* all = nullptr;  // standard output; null while nothing is filtered
  bool is_asked = false;     // also after results_follow()
  std::string line{};        // its beginning, as far as it was printed
};

LineFilter& line_filter() {
  static LineFilter& filter = *new LineFilter;
  return filter;
}

// Of the C library's streams: returns how much it took, less than `size` if writing fails.
ssize_t filter_lines(void*, const char* text, std::size_t size) {
  LineFilter& filter = line_filter();
  for (std::size_t i = 0; i < size; ++i) {
    filter.line += text[i];
    if (text[i] != '\n') continue;
    const bool kept = filter.line.starts_with(kept_beginning);
    if (kept && std::fwrite(filter.line.data(), 1, filter.line.size(), filter.all) != filter.line.size())
      return 0;
    filter.line.clear();
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

void print_only_warnings() {
  LineFilter& filter = line_filter();
  if (filter.all != nullptr) return;
  std::FILE* const filtered =
      fopencookie(nullptr, "w", {.read = nullptr, .write = filter_lines, .seek = nullptr, .close = nullptr});
  check(filtered != nullptr, ExitCode::device, "--quiet: there is no memory for another stream");
  hide_progress();
  std::fflush(stdout);
  std::setvbuf(filtered, nullptr, _IOLBF, BUFSIZ);
  filter.all = stdout;
  filter.is_asked = true;
  stdout = filtered;
}

void results_follow() {
  LineFilter& filter = line_filter();
  if (filter.all == nullptr) return;
  std::fclose(stdout);  // passes what it still holds
  stdout = filter.all;
  filter.all = nullptr;
  filter.line.clear();
}

bool only_results_are_printed() {
  return line_filter().is_asked;
}

}  // namespace kindred
