#include <kindred/apps/console/clock.h>
#include <kindred/apps/console/progress.h>

#include <fmt/core.h>
#include <unistd.h>  // defines: isatty

#include <algorithm>
#include <cstdio>

namespace kindred {
namespace {

constexpr double redraw_interval = 0.2;  // seconds, on a terminal
constexpr double line_interval = 30.0;   // seconds, elsewhere, so that logs stay short
constexpr int bar_width = 24;            // characters

bool progress_is_hidden = false;

// Rounded. A file may say any number of seconds.
std::int64_t whole_seconds(double seconds) {
  constexpr double most = 1e15;
  return static_cast<std::int64_t>(std::min(std::max(0.0, seconds), most) + 0.5);
}

}  // namespace

Progress::Progress(std::string what, std::int64_t total_steps, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      total_(std::max<std::int64_t>(1, total_steps)),
      start_(now_seconds()),
      last_drawn_(start_),
      terminal_(isatty(STDOUT_FILENO) != 0) {}

Progress::~Progress() {
  if (terminal_ && drawn_) fmt::print("\r\033[K");  // the next output replaces the bar
  std::fflush(stdout);
}

void Progress::is_followed_by(std::int64_t repeats, std::optional<double> seconds_each) {
  repeats_ = repeats;
  seconds_each_ = seconds_each;
}

void Progress::advance(std::int64_t items, const std::string& note) {
  ++done_;
  items_ += items;
  if (progress_is_hidden) return;
  const double now = now_seconds();
  if (now - last_drawn_ < (terminal_ ? redraw_interval : line_interval)) return;
  last_drawn_ = now;
  draw(note);
}

void Progress::draw(const std::string& note) {
  const double elapsed = now_seconds() - start_;
  const double share = static_cast<double>(done_) / static_cast<double>(total_);
  const std::string rate =
      fmt::format("{:.0f} {}/s", static_cast<double>(items_) / std::max(elapsed, 1e-9), unit_);
  const double seconds_left = elapsed * (1 / share - 1);
  std::string left = format_duration(seconds_left) + " left";
  if (repeats_ > 0) {
    const double later = static_cast<double>(repeats_) * seconds_each_.value_or(elapsed / share);
    left += fmt::format(" ({} in all)", format_rough_duration(seconds_left + later));
  }
  if (terminal_) {
    const int filled = static_cast<int>(share * bar_width);
    fmt::print("\r\033[K{} [{}{}] {:3.0f} %  {}  {}  {}", what_,
               std::string(static_cast<std::size_t>(filled), '#'),
               std::string(static_cast<std::size_t>(bar_width - filled), '.'), 100 * share, rate, left, note);
  } else {
    fmt::print("{}  {:.0f} %  {}  {}  {}\n", what_, 100 * share, rate, left, note);
  }
  std::fflush(stdout);
  drawn_ = true;
}

void hide_progress() {
  progress_is_hidden = true;
}

std::string format_duration(double seconds) {
  const std::int64_t whole = whole_seconds(seconds);
  if (whole >= 3600) return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string format_rough_duration(double seconds) {
  const std::int64_t whole = whole_seconds(seconds);
  if (whole < 60) return fmt::format("{} s", whole);
  const std::int64_t minutes = (whole + 30) / 60;
  if (minutes < 60) return fmt::format("{} min", minutes);
  if (minutes < 24 * 60) return fmt::format("{} h {} min", minutes / 60, minutes % 60);
  const std::int64_t hours = (minutes + 30) / 60;
  return fmt::format("{} d {} h", hours / 24, hours % 24);
}

std::string format_bytes(double bytes) {
  constexpr double mebi = 1024.0 * 1024.0;
  if (bytes >= 1024 * mebi) return fmt::format("{:.2f} GiB", bytes / (1024 * mebi));
  return fmt::format("{:.1f} MiB", bytes / mebi);
}

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  return text;
}

}  // namespace kindred
