#include <kindred/apps/console/clock.h>
#include <kindred/apps/training/run/saver.h>

#include <chrono>
#include <thread>
#include <utility>

namespace kindred {
namespace {

constexpr double cheap_share = 0.01, retry_seconds = 60;

EncoderInfo info_of_run(const PretrainOptions& o, const std::optional<HeldOutImages>& held_out,
                        const std::vector<std::optional<HeldOutImages>>& trained_before) {
  EncoderInfo info{o.model, o.stem, o.image_size, o.pixel_statistics()};
  info.resize = o.resize;
  info.exif = o.exif;
  info.held_out = held_out;
  info.trained_before = trained_before;
  return info;
}

}  // namespace

Saver::Saver(const PretrainOptions& o, std::int64_t steps_done, Capture capture, std::function<void()> saved,
             std::vector<std::string> class_names, const std::optional<HeldOutImages>& held_out,
             const std::vector<std::optional<HeldOutImages>>& trained_before)
    : every_(o.checkpoint_every),
      capture_(std::move(capture)),
      writer_(o.out, info_of_run(o, held_out, trained_before), static_cast<int>(o.keep_checkpoints),
              system_files_without_links(), std::move(saved), std::move(class_names)),
      steps_seen_(steps_done),
      last_save_(now_seconds()) {}

void Saver::save() {
  Checkpoint checkpoint = capture_();
  steps_seen_ = checkpoint.run().steps_done;           // steps that were in progress may be done now
  const bool is_best = checkpoint.run().is_at_best();  // also when the run ends with its best epoch
  writer_.submit(std::move(checkpoint), is_best);
  last_save_ = now_seconds();
  failed_ = false;  // until this save is known to have failed too
}

bool Saver::is_due(std::int64_t steps_done) {
  report_failure();
  if (writer_.busy() && every_.steps == 0) return false;
  const double elapsed = now_seconds() - last_save_;
  const double seconds = every_.seconds > 0 ? every_.seconds : most_seconds_between_saves;
  // Results of a GPU's steps become known several at a time.
  const std::int64_t before = std::exchange(steps_seen_, steps_done);
  if (failed_ && elapsed < retry_seconds) return false;  // a disk that is full now is full at the next step too
  const bool by_step = every_.steps > 0 && steps_done / every_.steps > before / every_.steps;
  const bool by_time = every_.steps == 0 && elapsed >= seconds;
  return by_step || by_time || failed_;
}

void Saver::put_off() {
  last_save_ = now_seconds();
}

bool Saver::saves_after_epoch(bool is_best) const {
  const double elapsed = now_seconds() - last_save_;
  const bool cheap = elapsed * cheap_share >= writer_.last_seconds() && (!failed_ || elapsed >= retry_seconds);
  return is_best || (every_.steps == 0 && every_.seconds == 0 && cheap);
}

void Saver::report_failure() {
  const auto failure = writer_.take_failure();
  if (!failure) return;
  failed_ = true;
  const auto last = writer_.last_saved_step();
  fmt::print("warning: a checkpoint could not be saved: {}; {}; trying again in {:.0f} s\n", *failure,
             last ? fmt::format("the one of step {} is whole", *last) : "what was saved before is whole",
             retry_seconds);
  std::fflush(stdout);
}

void Saver::save_for_sure() {
  for (const int wait : {0, 1, 3}) {
    std::this_thread::sleep_for(std::chrono::seconds(wait));
    writer_.wait();
    writer_.take_failure();
    save();
    writer_.wait();
    const auto failure = writer_.take_failure();
    if (!failure) return;
    if (wait == 3) fail(ExitCode::io, "{}", *failure);
  }
}

}  // namespace kindred
