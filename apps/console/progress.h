// Shows the progress of long work: on a terminal a bar that is redrawn, elsewhere plain lines at intervals.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kindred {

class Progress {
 public:
  // `what` is printed before the bar ("epoch 3/10"); `unit` is what the rate counts ("views").
  Progress(std::string what, std::int64_t total_steps, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Work like this follows `repeats` times, so that the time that is left for all of it is shown too. `seconds_each` is
  // what it takes; without it, as long as this one.
  void is_followed_by(std::int64_t repeats, std::optional<double> seconds_each);

  // One more step of `items` units is done; `note` is printed at the end of the line ("loss 5.93  waiting 1
  // %").
  void advance(std::int64_t items, const std::string& note);

 private:
  void draw(const std::string& note);

  std::string what_, unit_;
  std::int64_t total_, done_ = 0, items_ = 0;
  double start_, last_drawn_;
  std::int64_t repeats_ = 0;
  std::optional<double> seconds_each_{};
  bool terminal_, drawn_ = false;
};

// From now on no Progress shows anything.
void hide_progress();

// "3:07" or "2:10:05".
std::string format_duration(double seconds);
// "45 s", "12 min", "3 h 10 min", "2 d 4 h": what a person wants to know of a long time.
std::string format_rough_duration(double seconds);
// "1.4 GiB", "37.2 MiB".
std::string format_bytes(double bytes);
// The text on one line, whatever names it contains: control characters become question marks.
std::string one_line(std::string text);

}  // namespace kindred
